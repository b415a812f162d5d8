import Testing

extension ForeignReader {
  /// The regions of a file with their bytes.
  ///
  /// - Parameters:
  ///   - chunks: the tree of chunks.
  ///   - names: the tree of the regions' names.
  mutating func regions(chunks: Root, names: Root) throws -> [String: [UInt8]] {
    var ids: [Int: String] = [:]
    for entry in try entries(of: names) {
      let id = try document.number("region number", of: "region record", in: entry.value)
      #expect(entry.value.count == 8 && id > 0)
      let isNew = ids.updateValue(String(decoding: entry.key, as: UTF8.self), forKey: id) == nil
      #expect(isNew, "two names of region \(id)")
    }
    var regions: [String: [UInt8]] = [:]
    for entry in try entries(of: chunks) {
      let id = try bigEndian("region", in: entry.key)
      let name = try #require(ids[id], "region \(id) has no name")
      guard entry.key.count > 8 else {
        #expect(entry.value.isEmpty && regions[name] == nil)
        regions[name] = []
        continue
      }
      #expect(entry.key.count == 16)
      let byteCount = try #require(regions[name]?.count, "region \(id) has no head")
      let index = try bigEndian("index", in: entry.key)
      // All before it are full, so this is the next.
      #expect(byteCount == index * 65536 && !entry.value.isEmpty)
      regions[name]?.append(contentsOf: entry.value)
    }
    return regions
  }

  private func bigEndian(_ name: String, in key: [UInt8]) throws -> Int {
    let field = try #require(document.sections["chunk key"]?[name])
    let byteCount = try #require(field.byteCount)
    return key[field.offset..<field.offset + byteCount].reduce(0) { $0 << 8 | Int($1) }
  }
}
