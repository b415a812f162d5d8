/// A column whose elements are made of another one's when they are read; holes stay holes.
///
/// Made by `mapped(_:)`.
public struct MappedVectorReader<Base: VectorReader, Element: VectorElement>: VectorReader {
  /// What reading the other column throws.
  public typealias ReadError = Base.ReadError

  @usableFromInline let base: Base
  @usableFromInline let transform: @Sendable (Base.Element) -> Element

  @usableFromInline init(_ base: Base, _ transform: @escaping @Sendable (Base.Element) -> Element) {
    self.base = base
    self.transform = transform
  }

  /// The number of elements, holes included.
  @inlinable public var count: Int { base.count }

  /// A reader of the same elements, for another thread.
  ///
  /// - Throws: as the column that it is made of.
  @inlinable public func copy() throws(ReadError) -> MappedVectorReader {
    MappedVectorReader(try base.copy(), transform)
  }

  /// The element at an index; at a hole, what is made of that which was there.
  ///
  /// - Parameter index: below `count`.
  /// - Throws: as the column that it is made of.
  @inlinable public func value(at index: Int) throws(ReadError) -> Element {
    transform(try base.value(at: index))
  }

  /// Hands over elements in runs of memory, in their order.
  ///
  /// - Parameters:
  ///   - range: of which elements.
  ///   - body: gets elements as they are stored, holes included, valid until it returns.
  /// - Throws: as the column that it is made of.
  @inlinable public func readSpans(
    in range: Range<Int>, _ body: (Span<Element.Stored>) -> Void
  ) throws(ReadError) {
    try forEachPiece(of: range, body) { (piece, room) throws(ReadError) in
      try base.readSpans(in: piece) { span in
        for index in span.indices {
          room.append(transform(Base.Element(stored: span[index])).stored)
        }
      }
    }
  }

  /// The places of the holes in a range, ascending.
  ///
  /// - Parameter range: of indices.
  /// - Throws: as the column that it is made of.
  public func holes(in range: Range<Int>) throws(ReadError) -> [Int] { try base.holes(in: range) }
}

extension VectorReader {
  /// A column of what a closure makes of each element, computed when it is read.
  ///
  /// ```swift
  /// let fahrenheit = try celsius.reader().mapped { $0 * 1.8 + 32 }
  /// let warmest = fahrenheit.max(in: nil)
  /// ```
  ///
  /// - Parameter transform: makes an element of one; it is called anew at each read, in any order.
  /// - Complexity: O(1).
  @inlinable public func mapped<Result: VectorElement>(
    _ transform: @escaping @Sendable (Element) -> Result
  ) -> MappedVectorReader<Self, Result> {
    MappedVectorReader(self, transform)
  }
}

/// A column that can't fail, as one that may: so that it can be zipped with such.
///
/// Made by `throwing(_:)`.
public struct ThrowingVectorReader<Base: VectorReader, Failure: Error>: VectorReader
where Base.ReadError == Never {
  /// The type of the elements.
  public typealias Element = Base.Element
  /// What reading might throw, but never does.
  public typealias ReadError = Failure

  @usableFromInline let base: Base

  @usableFromInline init(_ base: Base) { self.base = base }

  /// The number of elements, holes included.
  @inlinable public var count: Int { base.count }

  /// A reader of the same elements, for another thread.
  ///
  /// - Throws: nothing.
  @inlinable public func copy() throws(Failure) -> ThrowingVectorReader {
    ThrowingVectorReader(base.copy())
  }

  /// The element at an index; at a hole, what was there before.
  ///
  /// - Parameter index: below `count`.
  /// - Throws: nothing.
  @inlinable public func value(at index: Int) throws(Failure) -> Element { base.value(at: index) }

  /// Hands over elements in runs of memory, in their order.
  ///
  /// - Parameters:
  ///   - range: of which elements.
  ///   - body: gets elements as they are stored, holes included, valid until it returns.
  /// - Throws: nothing.
  @inlinable public func readSpans(
    in range: Range<Int>, _ body: (Span<Element.Stored>) -> Void
  ) throws(Failure) {
    base.readSpans(in: range, body)
  }

  /// The places of the holes in a range, ascending.
  ///
  /// - Parameter range: of indices.
  /// - Throws: nothing.
  @inlinable public func holes(in range: Range<Int>) throws(Failure) -> [Int] {
    base.holes(in: range)
  }
}

extension VectorReader where ReadError == Never {
  /// The same column as one whose reading may throw, which it never does: a raw column, to be zipped
  /// with a compressed one.
  ///
  /// ```swift
  /// let turnover = prices.throwing(DatabaseError.self).zipped(with: amounts) { $0 * $1 }
  /// ```
  ///
  /// - Parameter error: what the other column's reading throws.
  /// - Complexity: O(1).
  @inlinable public func throwing<Failure: Error>(
    _ error: Failure.Type
  ) -> ThrowingVectorReader<Self, Failure> {
    ThrowingVectorReader(self)
  }
}
