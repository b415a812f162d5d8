/// A key of several components, ordered by the first, then by the second, and so on.
///
///     let key = CompositeKey(7 as UInt64, "a")
///     let (number, name) = key.elements
///
/// Two composites are equal, and one is less than the other, as the keys in the tree are: by their
/// encodings. That differs from the components' own `==` and `<` for text that is canonically
/// equivalent, for NaN, and for the two zeros.
public struct CompositeKey<each Element: OrderedKey>: OrderedKey {
  /// The components; of a single one that itself.
  public let elements: (repeat each Element)

  /// A key of these components.
  @inlinable public init(_ elements: repeat each Element) {
    self.elements = (repeat each elements)
  }

  /// The components' tags in parentheses, with commas between them.
  public static var codingTag: String {
    var tags: [String] = []
    repeat tags.append((each Element).codingTag)
    return "(\(tags.joined(separator: ",")))"
  }

  /// Appends the components' encodings, one behind the other.
  @inlinable public func encodeComponent(into encoder: inout ByteEncoder) {
    repeat (each elements).encodeComponent(into: &encoder)
  }

  /// Takes what `encodeComponent` appended.
  @inlinable public static func decodeComponent(
    from decoder: inout ByteDecoder
  ) throws(DatabaseError) -> CompositeKey {
    CompositeKey(repeat try (each Element).decodeComponent(from: &decoder))
  }
}

/// As a value it is stored like a key.
extension CompositeKey: StorableValue {
  /// Appends the components' encodings, one behind the other.
  @inlinable public func encodeValue(into encoder: inout ByteEncoder) {
    encodeComponent(into: &encoder)
  }

  /// Takes what `encodeValue` appended.
  @inlinable public static func decodeValue(
    from decoder: inout ByteDecoder
  ) throws(DatabaseError) -> CompositeKey {
    try decodeComponent(from: &decoder)
  }
}

extension CompositeKey: Hashable, Comparable {
  /// Whether both are the same key.
  @inlinable public static func == (first: CompositeKey, second: CompositeKey) -> Bool {
    first.withEncodedKey { first in second.withEncodedKey { first.elementsEqual($0) } }
  }

  /// Whether the first key comes before the second.
  @inlinable public static func < (first: CompositeKey, second: CompositeKey) -> Bool {
    first.withEncodedKey { first in second.withEncodedKey { first.lexicographicallyPrecedes($0) } }
  }

  /// Feeds the key's bytes to a hasher.
  @inlinable public func hash(into hasher: inout Hasher) {
    withEncodedKey { hasher.combine(bytes: $0) }
  }
}

extension CompositeKey: CustomStringConvertible {
  /// The components in parentheses.
  public var description: String {
    var texts: [String] = []
    repeat texts.append(String(reflecting: each elements))
    return "(\(texts.joined(separator: ", ")))"
  }
}
