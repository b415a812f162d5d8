/// The number of a page: its place in the file is this times the page size.
@frozen
public struct PageID: Hashable, Comparable, Sendable, CustomStringConvertible {
  /// The number itself, below 2^48.
  public var rawValue: UInt64

  /// The page of this number.
  @inlinable public init(_ rawValue: UInt64) { self.rawValue = rawValue }

  /// "No page": page 0 holds a superblock, so that no reference can mean it.
  @inlinable public static var none: PageID { PageID(0) }

  /// Orders by place in the file.
  @inlinable public static func < (a: PageID, b: PageID) -> Bool { a.rawValue < b.rawValue }

  /// The number, for messages.
  public var description: String { String(rawValue) }
}

/// A moment in the life of the file; it moves on whenever somebody pins what is there.
@frozen
public struct Epoch: Hashable, Comparable, Sendable {
  /// The count itself.
  public var rawValue: UInt64

  /// The epoch of this number.
  @inlinable public init(_ rawValue: UInt64) { self.rawValue = rawValue }

  /// Orders by time.
  @inlinable public static func < (a: Epoch, b: Epoch) -> Bool { a.rawValue < b.rawValue }
}

/// What a parent knows of a child: where it is and when it was born.
@frozen
public struct PageReference: Equatable, Sendable {
  /// Where the page is.
  public var id: PageID
  /// The epoch in its header: another one there means a stale or lost write.
  public var epoch: Epoch

  /// The page `id` born in `epoch`.
  @inlinable public init(id: PageID, epoch: Epoch) {
    self.id = id
    self.epoch = epoch
  }

  /// The reference of an empty tree.
  @inlinable public static var none: PageReference {
    PageReference(id: .none, epoch: Epoch(0))
  }
}

/// The root of a tree and what is known of the whole.
@frozen
public struct TreeRoot: Equatable, Sendable {
  /// The topmost page, or `.none` when the tree is empty.
  public var page: PageReference
  /// The number of levels: 0 for an empty tree, 1 when the root is a leaf.
  public var height: Int
  /// The number of entries.
  public var count: Int

  /// A tree with this root page.
  @inlinable public init(page: PageReference, height: Int, count: Int) {
    self.page = page
    self.height = height
    self.count = count
  }

  /// A tree without a page.
  @inlinable public static var empty: TreeRoot { TreeRoot(page: .none, height: 0, count: 0) }
}

/// A run of consecutive pages.
@frozen
public struct Extent: Hashable, Sendable {
  /// The first page.
  public var first: PageID
  /// How many pages.
  public var pageCount: Int

  /// The run of `pageCount` pages from `first`.
  @inlinable public init(first: PageID, pageCount: Int) {
    self.first = first
    self.pageCount = pageCount
  }

  /// The page after the last one.
  @inlinable public var end: UInt64 { first.rawValue + UInt64(pageCount) }

  /// Whether a page is in both.
  func overlaps(_ other: Extent) -> Bool {
    first.rawValue < other.end && other.first.rawValue < end
  }
}

/// A place in the log, in bytes since the file was made; it never repeats.
@frozen
public struct LogSequenceNumber: Hashable, Comparable, Sendable {
  /// The byte position.
  public var rawValue: UInt64

  /// The position of this number.
  @inlinable public init(_ rawValue: UInt64) { self.rawValue = rawValue }

  /// Orders by place.
  @inlinable public static func < (a: LogSequenceNumber, b: LogSequenceNumber) -> Bool {
    a.rawValue < b.rawValue
  }
}
