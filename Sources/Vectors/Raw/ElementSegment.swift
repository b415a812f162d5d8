/// Memory for elements, which never moves.
///
/// An array would look at each append whether it is the only one that has its memory.
@usableFromInline
final class ElementSegment<Stored> {
  @usableFromInline let elements: UnsafeMutableBufferPointer<Stored>

  @usableFromInline init(capacity: Int) {
    elements = .allocate(capacity: capacity)
  }

  deinit { elements.deallocate() }

  /// The bytes of the first elements.
  func bytes(_ count: Int) -> UnsafeRawBufferPointer {
    UnsafeRawBufferPointer(UnsafeMutableBufferPointer(rebasing: elements[..<count]))
  }
}
