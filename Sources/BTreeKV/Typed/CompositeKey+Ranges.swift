// Where `CompositeKey<UInt64, String, Int>.prefixRange(7)` comes from. A same-type requirement on
// `Self` splits the components into those that are given and the rest, and lets the compiler check
// their types and infer those of literals; an extension of `CompositeKey` itself can't do that.

extension OrderedKey {
  /// The keys whose first component is this one.
  ///
  ///     let range = CompositeKey<UInt64, String>.prefixRange(7)
  public static func prefixRange<A, each Rest: OrderedKey>(
    _ first: A
  ) -> KeyRange where Self == CompositeKey<A, repeat each Rest> {
    .prefix(CompositeKey<A>(first).encodedKey)
  }

  /// The keys whose first components are these.
  public static func prefixRange<A, B, each Rest: OrderedKey>(
    _ first: A, _ second: B
  ) -> KeyRange where Self == CompositeKey<A, B, repeat each Rest> {
    .prefix(CompositeKey<A, B>(first, second).encodedKey)
  }

  /// The keys whose first components are these.
  public static func prefixRange<A, B, C, each Rest: OrderedKey>(
    _ first: A, _ second: B, _ third: C
  ) -> KeyRange where Self == CompositeKey<A, B, C, repeat each Rest> {
    .prefix(CompositeKey<A, B, C>(first, second, third).encodedKey)
  }

  /// The keys whose first components are these.
  public static func prefixRange<A, B, C, D, each Rest: OrderedKey>(
    _ first: A, _ second: B, _ third: C, _ fourth: D
  ) -> KeyRange where Self == CompositeKey<A, B, C, D, repeat each Rest> {
    .prefix(CompositeKey<A, B, C, D>(first, second, third, fourth).encodedKey)
  }

  /// The keys whose first component is this one and whose second one is in a range.
  ///
  ///     let range = CompositeKey<UInt64, Int64, String>.prefixRange(7, 100..<200)
  public static func prefixRange<A, B, each Rest: OrderedKey>(
    _ first: A, _ second: some ComponentRange<B>
  ) -> KeyRange where Self == CompositeKey<A, B, repeat each Rest> {
    KeyRange(leading: CompositeKey<A>(first).encodedKey, second)
  }

  /// The keys whose first two components are these and whose third one is in a range.
  public static func prefixRange<A, B, C, each Rest: OrderedKey>(
    _ first: A, _ second: B, _ third: some ComponentRange<C>
  ) -> KeyRange where Self == CompositeKey<A, B, C, repeat each Rest> {
    KeyRange(leading: CompositeKey<A, B>(first, second).encodedKey, third)
  }
}

extension CompositeKey {
  /// The keys that begin with these components, whose number and types are seen at run time only.
  ///
  /// For more leading components than `prefixRange` takes. All keys of this type, if none is given.
  ///
  /// - Parameter leading: components of exactly the types of this key's first ones; anything else is
  ///   a programmer's error and traps.
  public static func prefixRange<each Leading: OrderedKey>(
    leading: repeat each Leading
  ) -> KeyRange {
    var types: [any OrderedKey.Type] = []
    repeat types.append((each Element).self)
    var index = 0
    for type in repeat (each Leading).self {
      precondition(
        index < types.count && types[index] == type,
        "the leading components are not those of \(Self.self)")
      index += 1
    }
    return .prefix(CompositeKey<repeat each Leading>(repeat each leading).encodedKey)
  }
}
