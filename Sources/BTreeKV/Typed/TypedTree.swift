internal import Pager

// Typed trees in the three worlds: as they are at each call, at a snapshot's instant, and as a
// transaction sees them. The operations are the same and written once, for the two protocols.

/// Something that typed entries can be read from: a `TypedTree`, or one of a snapshot or a transaction.
public protocol TypedReadableTree<Key, Value>: ~Copyable, ~Escapable {
  /// What the keys are.
  associatedtype Key: OrderedKey
  /// What the values are.
  associatedtype Value: StorableValue

  /// How the handle reaches its tree; for the library's own use.
  var access: TreeAccess { get }
}

/// A typed tree that can be changed: a `TypedTree`, or one in a transaction.
///
/// What `WritableTree` says of durability and of transactions holds here too.
public protocol TypedWritableTree<Key, Value>: TypedReadableTree, ~Copyable, ~Escapable {}

/// A named tree with keys and values of certain types, as it is at each call.
///
/// ```swift
/// let users = try database.tree("users", of: UInt64.self, String.self)
/// try users.insert(7, "Ada")
/// try users.insert(9, "Grace")
/// let name = try users[7]
/// assert(name == "Ada")
/// for (id, name) in users.range(8...) { print(id, name) }
/// ```
///
/// Keys are in the order of their encodings, which is that of `<` for most types: see `OrderedKey`.
/// The file notes the codings of both types, and opening the tree as something else is an error.
/// Bytes that are not of the type, which only `plain` can put there, are `.corrupted` when they are
/// met.
public struct TypedTree<Key: OrderedKey, Value: StorableValue>: TypedWritableTree, Sendable {
  /// The same tree, in bytes.
  ///
  /// What is stored through it must be what the types' codings make.
  public let plain: NamedTree
  /// The tree as it is now.
  @inlinable public var access: TreeAccess { plain.access }

  init(_ plain: NamedTree) { self.plain = plain }

  /// The tree as a transaction of its database sees it.
  ///
  /// ```swift
  /// let stock = try database.tree("stock", of: String.self, Int.self)
  /// try database.write { transaction in
  ///   let stock = stock.access(in: transaction)
  ///   try stock.insert("apples", 12)
  ///   try stock.update("pears") { ($0 ?? 0) + 1 }
  /// }
  /// ```
  ///
  /// - Parameter transaction: one that is under way.
  @_lifetime(borrow transaction)
  public func access(in transaction: borrowing Transaction) -> TypedTransactionTree<Key, Value> {
    TypedTransactionTree(transaction.state, plain.id)
  }
}

/// A typed tree at a snapshot's instant.
public struct TypedSnapshotTree<Key: OrderedKey, Value: StorableValue>:
  TypedReadableTree, Sendable
{
  /// The same tree, in bytes.
  public let plain: SnapshotTree
  /// The tree at the snapshot's instant.
  @inlinable public var access: TreeAccess { plain.access }

  init(_ plain: SnapshotTree) { self.plain = plain }
}

/// A typed tree as a transaction sees it; it can't outlive the transaction.
public struct TypedTransactionTree<Key: OrderedKey, Value: StorableValue>:
  ~Escapable, TypedWritableTree
{
  /// The tree, as the transaction sees it.
  public let access: TreeAccess

  @_lifetime(immortal)
  init(_ state: TransactionState, _ id: TreeID) {
    access = TreeAccess(state.file, state.engine.tree(of: id), .transaction(state))
  }
}

/// The bytes under a typed tree.
@usableFromInline
struct TreeBytes: WritableTree {
  @usableFromInline let access: TreeAccess

  @inlinable init(_ access: TreeAccess) { self.access = access }
}
