import BTreeKV
import TestSupport
import Testing

/// Keys order as their values do, alone and as components, and come back as they were.
@Suite struct TypedKeyTests {
  static let seeds: [UInt64] = [1, 2, 3]

  @Test(arguments: seeds) func ordersAsItsValues(seed: UInt64) throws {
    struct Order: KeySampleVisitor {
      func visit<Key: OrderedKey>(_ samples: KeySamples<Key>) throws {
        let keys = samples.values.map { ($0, $0.encodedKey, CompositeKey($0).encodedKey) }
        for (index, (first, key, component)) in keys.enumerated() {
          for (other, (second, otherKey, otherComponent)) in keys.enumerated() {
            // Not a text: there are a million pairs.
            var context: String { "\(samples.name): \(first) and \(second)" }
            let precedes = samples.precedes(first, second)
            try require(key.lexicographicallyPrecedes(otherKey) == precedes, context)
            try require(
              component.lexicographicallyPrecedes(otherComponent) == precedes,
              "component, \(context)")
            let isSame = samples.isSame(first, second)
            try require((key == otherKey) == isSame, "same, \(context)")
            try require(
              otherComponent.starts(with: component) == isSame, "beginning, \(context)")
            // These encode again, which takes its time in a debug build.
            guard (index + other) % 16 == 0 else { continue }
            let (a, b) = (CompositeKey(first), CompositeKey(second))
            try require((a < b) == precedes && (a == b) == isSame, "composite, \(context)")
          }
        }
      }
    }
    for samples in TypedSamples.all(seed: seed) { try samples.visit(Order()) }
  }

  @Test(arguments: seeds) func comesBackAsItWas(seed: UInt64) throws {
    struct RoundTrip: KeySampleVisitor {
      func visit<Key: OrderedKey>(_ samples: KeySamples<Key>) throws {
        for value in samples.values {
          let context = "\(samples.name): \(value)"
          let back = try Key(encodedKey: value.encodedKey)
          try require(samples.isSame(value, back), context)
          let composite = CompositeKey(value, 0xFF as UInt8)
          let other = try CompositeKey<Key, UInt8>(encodedKey: composite.encodedKey)
          try require(samples.isSame(value, other.elements.0), "component, \(context)")
          try require(other.elements.1 == 0xFF, "the one behind, \(context)")
          try require(composite.hashValue == other.hashValue, "hash, \(context)")
          let optional = try Key?(encodedKey: Optional(value).encodedKey)
          let inside = try #require(optional)
          try require(samples.isSame(value, inside), "optional, \(context)")
        }
      }
    }
    for samples in TypedSamples.all(seed: seed) { try samples.visit(RoundTrip()) }
  }

  /// Random bytes, and encodings that were changed, cut or prolonged: what is taken at all is what
  /// would be written.
  @Test(arguments: seeds) func strangeBytesThrow(seed: UInt64) throws {
    struct Strange: KeySampleVisitor {
      var seed: UInt64

      func visit<Key: OrderedKey>(_ samples: KeySamples<Key>) throws {
        var random = SeededRandom(seed: seed)
        var refused = 0
        for _ in 0..<400 {
          var bytes = TypedSamples.bytes(&random)
          if random.chance(70) {
            bytes = samples.values[random.below(samples.values.count)].encodedKey
            if random.chance(40) { bytes.removeLast(random.below(bytes.count + 1)) }
            if random.chance(40) { bytes += TypedSamples.bytes(&random) }
            if random.chance(60), !bytes.isEmpty {
              bytes[random.below(bytes.count)] = [0, 1, 2, 0x80, 0xFF][random.below(5)]
            }
          }
          let result = Result { () throws(DatabaseError) in try Key(encodedKey: bytes) }
          switch result {
          case .success(let key):
            try require(key.encodedKey == bytes, "\(samples.name): \(hex(bytes)) became \(key)")
          case .failure(let error):
            try require(error.code == .corrupted, "\(samples.name): \(error)")
            refused += 1
          }
        }
        // Only bytes may be anything.
        try require(refused > 0 || Key.self == [UInt8].self, "\(samples.name): nothing refused")
      }
    }
    for samples in TypedSamples.all(seed: seed) { try samples.visit(Strange(seed: seed)) }
  }

  @Test func bytesBehindAreAnError() throws {
    struct Longer: KeySampleVisitor {
      func visit<Key: OrderedKey>(_ samples: KeySamples<Key>) throws {
        for value in samples.values {
          let bytes = CompositeKey(value).encodedKey
          #expect(throws: DatabaseError.self) {
            try CompositeKey<Key>(encodedKey: bytes + [0])
          }
          guard !bytes.isEmpty else { continue }
          #expect(throws: DatabaseError.self) {
            try CompositeKey<Key>(encodedKey: Array(bytes.dropLast()))
          }
        }
      }
    }
    for samples in TypedSamples.all(seed: 4) { try samples.visit(Longer()) }
  }

  @Test func errorSaysWhatIsWrong() {
    let error = #expect(throws: DatabaseError.self) { try UInt64(encodedKey: [1, 2]) }
    #expect(error?.code == .corrupted)
    #expect(error?.description.contains("it ends too early") == true)
  }

  /// Fixed examples of the orders that surprise.
  @Test func ordersThatSurprise() {
    let numbers: [Double] = [
      -Double.nan, -.infinity, -1, -0.0, 0.0, .leastNonzeroMagnitude, 1, .infinity, .nan,
    ]
    for (first, second) in zip(numbers, numbers.dropFirst()) {
      #expect(CompositeKey(first) < CompositeKey(second), "\(first), \(second)")
    }
    #expect("\u{E9}" == "e\u{301}")
    #expect(CompositeKey("\u{E9}") != CompositeKey("e\u{301}"))
    #expect(CompositeKey("Z") < CompositeKey("a"))
    #expect(CompositeKey(Double.nan) == CompositeKey(Double.nan))
  }

  @Test func tagsAreDistinct() {
    let tags = [
      UInt8.codingTag, UInt16.codingTag, UInt32.codingTag, UInt64.codingTag, UInt128.codingTag,
      Int8.codingTag, Int16.codingTag, Int32.codingTag, Int64.codingTag, Int128.codingTag,
      Float.codingTag, Double.codingTag, Bool.codingTag, String.codingTag, [UInt8].codingTag,
      Bytes16.codingTag, String?.codingTag, String??.codingTag, Place.codingTag,
      type(of: CompositeKey()).codingTag, CompositeKey<String>.codingTag,
      CompositeKey<String?>.codingTag,
      CompositeKey<String>?.codingTag, CompositeKey<UInt64, String>.codingTag,
      CompositeKey<String, UInt64>.codingTag,
      CompositeKey<CompositeKey<UInt64>, String>.codingTag,
      CompositeKey<UInt64, CompositeKey<String>>.codingTag,
    ]
    #expect(Set(tags).count == tags.count, "\(tags)")
    // What is stored alike has the same tag.
    #expect(Int.codingTag == "i\(Int.bitWidth)" && UInt.codingTag == "u\(Int.bitWidth)")
    #expect(Level.codingTag == "i8" && Name.codingTag == "text")
    #expect(CompositeKey<UInt64, String?>.codingTag == "(u64,text?)")
  }

  @Test func uuidText() throws {
    var random = SeededRandom(seed: 5)
    for _ in 0..<200 {
      let uuid = Bytes16.random(using: &random)
      let text = uuid.description
      #expect(Bytes16(text) == uuid && Bytes16(text.uppercased()) == uuid)
      #expect(Array(text.utf8)[14] == UInt8(ascii: "4"))
      #expect("89ab".contains(Array(text)[19]))
    }
    let one = Bytes16(high: 0x0123_4567_89AB_CDEF, low: 0x0011_2233_4455_6677)
    #expect(one.description == "01234567-89ab-cdef-0011-223344556677")
    #expect(one.encodedKey.count == 16 && one.encodedKey[1] == 0x23)
    for text in [
      "", "-", "01234567-89ab-cdef-0011-22334455667", "01234567-89ab-cdef-0011-2233445566778",
      "0123456789abcdef0011223344556677", "01234567-89ab-cdef-0011-22334455667g",
      "01234567-89ab-cdef-0011+223344556677", "01234567--9ab-cdef-0011-223344556677",
    ] {
      #expect(Bytes16(text) == nil, "\(text)")
    }
    #expect(Bytes16.random() != Bytes16.random())
  }
}
