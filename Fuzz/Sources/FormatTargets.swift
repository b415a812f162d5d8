@testable import BTreeKV
@testable import Pager

// What decodes to a value must encode to bytes that decode to the same.

extension FuzzTarget {
  /// A superblock with the right magic and checksum.
  static let superblock = FuzzTarget(
    run: { bytes in
      var block = Array(bytes.prefix(Superblock.byteCount))
      block += [UInt8](repeating: 0, count: Superblock.byteCount - block.count)
      block.replaceSubrange(0..<16, with: Superblock.magic)
      block.sealSuperblock()
      guard let decoded = try? Superblock.decode(block) else { return }
      let again = try? Superblock.decode(decoded.encoded())
      require(again == decoded, "a superblock changes when it is written")
      require(Superblock.isPageSize(decoded.pageByteCount), "page size \(decoded.pageByteCount)")
    },
    seeds: {
      var block = Superblock(pageByteCount: 4096, fileIdentifier: (1, 2), pageCount: 16)
      let plain = block.encoded()
      block.root = TreeRoot(
        page: PageReference(id: PageID(5), epoch: Epoch(3)), height: 2, count: 100)
      block.log = LogStart(
        extent: Extent(first: PageID(8), pageCount: 4), salt: 7, sequence: 1,
        firstLSN: LogSequenceNumber(4096), replayFrom: LogSequenceNumber(8192))
      block.treeTable = TreeTable.Location(
        extent: Extent(first: PageID(6), pageCount: 1), byteCount: 40, checksum: 9)
      return [plain, block.encoded()]
    })

  /// The table of trees.
  static let table = FuzzTarget(
    run: { bytes in
      let all = Array(bytes)
      if let table = TreeTable(all) {
        require(table.encoded == all, "a table of trees changes when it is written")
      }
    },
    seeds: {
      let root = TreeRoot(
        page: PageReference(id: PageID(5), epoch: Epoch(3)), height: 2, count: 100)
      return [
        TreeTable(nextID: TreeID(18), trees: []).encoded,
        TreeTable(nextID: TreeID(18), trees: [(TreeID(1), root), (TreeID(17), root)]).encoded,
      ]
    })

  /// A record of the catalogue.
  static let catalogue = FuzzTarget(
    run: { bytes in
      // On the heap by itself, so that the sanitizer sees a load behind the end.
      let copy = Array(bytes)
      let decoded = copy.withUnsafeBytes { CatalogueRecord($0) }
      if let record = decoded {
        require(!(record.id < .firstNamed), "a catalogue record of tree \(record.id.rawValue)")
        let again = record.encoded.withUnsafeBytes { CatalogueRecord($0) }
        require(
          again?.id == record.id && again?.typeTag == record.typeTag,
          "a catalogue record changes when it is written")
      }
    },
    seeds: {
      ["(u8,text)→i64", "", String(repeating: "x", count: 500)].map {
        CatalogueRecord(id: TreeID(16), typeTag: $0).encoded
      }
    })

  /// Typed keys and values: the first byte says which type.
  static let keys = FuzzTarget(
    run: { bytes in
      guard let kind = bytes.first else { return }
      // On the heap by itself, so that the sanitizer sees a load behind the end.
      let copy = Array(bytes.dropFirst())
      copy.withUnsafeBytes { keyKinds[Int(kind) % keyKinds.count]($0) }
    },
    seeds: {
      let samples: [[UInt8]] = [
        CompositeKey(7 as UInt8, "a\u{0}é").encodedKey, "a\u{0}é".encodedKey,
        CompositeKey("a" as String?, [0, 0xFF] as [UInt8], -1.5).encodedKey, [0, 1, 0xFF],
        Int128(-3).encodedKey,
      ]
      return keyKinds.indices.flatMap { kind in samples.map { [UInt8(kind)] + $0 } }
    })
}

/// Decodes a key; what decodes has exactly these bytes as its encoding.
private func key<K: OrderedKey>(_: K.Type) -> @Sendable (UnsafeRawBufferPointer) -> Void {
  { bytes in
    guard let key = try? K(encodedKey: bytes) else { return }
    require(key.encodedKey == Array(bytes), "two encodings of a key of \(K.codingTag)")
  }
}

/// Decodes a value; what decodes has exactly these bytes as its encoding.
private func value<V: StorableValue>(_: V.Type) -> @Sendable (UnsafeRawBufferPointer) -> Void {
  { bytes in
    guard let value = try? V(encodedValue: bytes) else { return }
    let again = try? value.encodedValue()
    require(again == Array(bytes), "two encodings of a value of \(V.codingTag)")
  }
}

private struct Sample: FixedLayoutValue {
  var time: Int64
  var low: Float
  var high: Float
}

private let keyKinds: [@Sendable (UnsafeRawBufferPointer) -> Void] = [
  key(String.self), key([UInt8].self), key(CompositeKey<UInt8, String>.self),
  key(CompositeKey<String?, [UInt8], Double>.self), key(Int128.self), key(Double.self),
  key(Float.self), key(Bool.self), key(Bytes16.self), key(Int16?.self), key(String?.self),
  key([UInt8]??.self), key(CompositeKey<CompositeKey<String>, [UInt8]?, Bool>.self),
  value(String.self), value([UInt8].self), value(Int64?.self), value(Double.self),
  value(Float.self), value(Bool.self), value(String??.self), value(Sample.self),
  value(Sample?.self), value(CompositeKey<[UInt8], String>.self), value(UInt128.self),
]
