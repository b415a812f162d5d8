public import BTreeKV
internal import Pager

/// A raw vector whose places are told by a type of their own, so that an index of one vector is not
/// taken for that of another.
///
/// Index 0 is the index whose raw value is 0.
///
/// ```swift
/// struct UserID: RawRepresentable {
///   var rawValue: UInt32
/// }
/// let ages = Vector<UserID, UInt8>(try RawVector.open("ages", in: database))
/// ages.append(contentsOf: [31, 45])
/// try ages.update(at: UserID(rawValue: 1), 46)
/// let age = try ages.element(at: UserID(rawValue: 1))
/// ```
public struct Vector<Index: RawRepresentable, Element: VectorElement>
where Index.RawValue: FixedWidthInteger {
  /// The vector itself, for what has nothing to do with indices: writing, stamps, readers.
  public let raw: RawVector<Element>

  /// A vector with other indices.
  public init(_ raw: RawVector<Element>) { self.raw = raw }

  /// The number of elements, holes and what is buffered included.
  ///
  /// - Throws: as `RawVector.count`.
  public var count: Int {
    get throws(DatabaseError) { try raw.count }
  }

  /// The index of the next element that is appended; nil when `Index` has none so high.
  ///
  /// - Throws: as `RawVector.count`.
  public var endIndex: Index? {
    get throws(DatabaseError) { Self.index(try raw.count) }
  }

  /// The index of a place; nil when there is none.
  @inlinable static func index(_ place: Int) -> Index? {
    Index.RawValue(exactly: place).flatMap { Index(rawValue: $0) }
  }

  /// The place of an index; no place has -1.
  @inlinable static func place(_ index: Index) -> Int { Int(exactly: index.rawValue) ?? -1 }

  /// Appends an element.
  ///
  /// - Parameter element: any.
  @inlinable public func append(_ element: Element) { raw.append(element) }

  /// Appends elements.
  ///
  /// - Parameter elements: any number.
  @inlinable public func append(contentsOf elements: some Sequence<Element>) {
    raw.append(contentsOf: elements)
  }

  /// The element at an index, or nil when there is a hole.
  ///
  /// - Parameter index: that of an element.
  /// - Throws: as `RawVector.element(at:)`.
  public func element(at index: Index) throws(DatabaseError) -> Element? {
    try raw.element(at: Self.place(index))
  }

  /// Stores an element in place of another one, or in a hole.
  ///
  /// - Parameters:
  ///   - index: that of an element.
  ///   - element: any.
  /// - Throws: as `RawVector.update(at:_:)`.
  @inlinable public func update(at index: Index, _ element: Element) throws(DatabaseError) {
    try raw.update(at: Self.place(index), element)
  }

  /// Removes an element and leaves a hole.
  ///
  /// - Parameter index: that of an element.
  /// - Returns: the element, or nil when there was a hole already.
  /// - Throws: as `RawVector.take(at:)`.
  @discardableResult
  public func take(at index: Index) throws(DatabaseError) -> Element? {
    try raw.take(at: Self.place(index))
  }

  /// The indices of all holes, ascending.
  ///
  /// - Throws: as `RawVector.holes`.
  public var holes: [Index] {
    get throws(DatabaseError) { try raw.holes.compactMap { Self.index($0) } }
  }
}

extension Vector {
  /// The element that a reader shows at an index.
  ///
  /// - Parameters:
  ///   - index: that of an element.
  ///   - reader: one of this vector.
  @inlinable public subscript(index: Index, in reader: RawVectorReader<Element>) -> Element {
    reader[Self.place(index)]
  }
}
