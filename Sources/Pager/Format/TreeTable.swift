/// Where the named trees of the file begin, as a checkpoint records it.
///
///     offset 0   next id      4 bytes: the number that the next tree gets
///     offset 4   tree count   4 bytes
///     offset 8   trees        32 bytes each, in the order of their ids
///
/// and of each tree
///
///     offset 0   id           4 bytes
///     offset 4   height       4 bytes: 1 ... 64
///     offset 8   root page    8 bytes
///     offset 16  root epoch   8 bytes
///     offset 24  entry count  8 bytes
///
/// The next id is at least 16 and at most 2³¹. The main tree is not in it (the superblock has its root), nor are empty ones.
struct TreeTable {
  /// Where a table lies in the file.
  struct Location: Equatable, Sendable {
    var extent: Extent
    var byteCount: Int
    /// XXH64 of the bytes, seeded as the pages' checksums are.
    var checksum: UInt64
  }

  static let headerByteCount = 8
  static let treeByteCount = 32

  var nextID: TreeID
  var trees: [(id: TreeID, root: TreeRoot)]

  init(nextID: TreeID, trees: [(id: TreeID, root: TreeRoot)]) {
    self.nextID = nextID
    self.trees = trees
  }

  var encoded: [UInt8] {
    var bytes = [UInt8](
      repeating: 0, count: Self.headerByteCount + trees.count * Self.treeByteCount)
    bytes.withUnsafeMutableBytes { bytes in
      bytes.storeBytes(of: nextID.rawValue, toByteOffset: 0, as: UInt32.self)
      bytes.storeBytes(of: UInt32(trees.count), toByteOffset: 4, as: UInt32.self)
      for (index, (id, root)) in trees.enumerated() {
        let at = Self.headerByteCount + index * Self.treeByteCount
        bytes.storeBytes(of: id.rawValue, toByteOffset: at, as: UInt32.self)
        bytes.storeBytes(of: UInt32(root.height), toByteOffset: at + 4, as: UInt32.self)
        bytes.storeBytes(of: root.page.id.rawValue, toByteOffset: at + 8, as: UInt64.self)
        bytes.storeBytes(of: root.page.epoch.rawValue, toByteOffset: at + 16, as: UInt64.self)
        bytes.storeBytes(of: UInt64(root.count), toByteOffset: at + 24, as: UInt64.self)
      }
    }
    return bytes
  }

  /// Reads a table; nil when it makes no sense.
  init?(_ bytes: [UInt8]) {
    guard bytes.count >= Self.headerByteCount else { return nil }
    let table: TreeTable? = bytes.withUnsafeBytes { bytes in
      func load<T: FixedWidthInteger>(_ offset: Int, _: T.Type) -> T {
        T(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: T.self))
      }
      let count = Int(load(4, UInt32.self))
      guard bytes.count == Self.headerByteCount + count * Self.treeByteCount else { return nil }
      var table = TreeTable(nextID: TreeID(load(0, UInt32.self)), trees: [])
      guard !(table.nextID < .firstNamed), !(TreeID.end < table.nextID) else { return nil }
      for index in 0..<count {
        let at = Self.headerByteCount + index * Self.treeByteCount
        let id = TreeID(load(at, UInt32.self))
        let height = load(at + 4, UInt32.self)
        let page = load(at + 8, UInt64.self)
        let epoch = load(at + 16, UInt64.self)
        let entryCount = load(at + 24, UInt64.self)
        guard id != .main, id < table.nextID, table.trees.last.map({ $0.id < id }) ?? true,
          (1...64).contains(height), page > 3, page < 1 << 47, epoch < 1 << 62,
          entryCount < 1 << 47
        else { return nil }
        table.trees.append(
          (
            id,
            TreeRoot(
              page: PageReference(id: PageID(page), epoch: Epoch(epoch)), height: Int(height),
              count: Int(entryCount))
          ))
      }
      return table
    }
    guard let table else { return nil }
    self = table
  }
}
