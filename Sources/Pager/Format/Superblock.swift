/// The 512 bytes from which everything else in the file is found.
///
/// Pages 0 and 1 hold one each. A checkpoint writes the one that is not in force, syncs, and
/// before anything of the checkpoint before it is reused writes the other one too: from then on
/// both say the same, so that rot in either harms nothing. (rule B4 asks for a log record for
/// this; two equal superblocks need none, work without a log, and survive what B4 only reports.)
struct Superblock: Equatable, Sendable {
  static let byteCount = 512
  static let magic: [UInt8] = Array("BTreeKV\u{0}\r\n\u{1A}\n".utf8) + [0xB7, 0xEE, 0x4B, 0x56]
  static let formatVersion: UInt32 = 2
  /// Features that a reader must know to read the file at all; none yet.
  static let knownIncompatibleFeatures: UInt32 = 0

  var formatVersion: UInt32 = Self.formatVersion
  var compatibleFeatures: UInt32 = 0
  var incompatibleFeatures: UInt32 = 0
  var pageByteCount: Int
  var checkpoint: UInt64 = 0
  var epoch = Epoch(0)
  var fileIdentifier: (high: UInt64, low: UInt64)
  var pageCount: Int
  var root = TreeRoot.empty
  var mapDigest: UInt64 = 0
  /// Where replay begins; nil when there is no log.
  var log: LogStart?
  /// Where the log went on when this was written: no later log position is lower.
  var logEnd = LogSequenceNumber(0)
  /// Where the named trees begin; nil when there are none.
  var treeTable: TreeTable.Location?

  /// The seed of all page checksums of the file (rule C9).
  var checksumSeed: UInt64 { fileIdentifier.high ^ fileIdentifier.low.byteSwapped }

  static func == (a: Superblock, b: Superblock) -> Bool { a.encoded() == b.encoded() }

  func encoded() -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: Self.byteCount)
    bytes.replaceSubrange(0..<16, with: Self.magic)
    bytes.withUnsafeMutableBytes { bytes in
      func store<T: FixedWidthInteger>(_ value: T, _ offset: Int) {
        bytes.storeBytes(of: value.littleEndian, toByteOffset: offset, as: T.self)
      }
      store(formatVersion, 16)
      store(compatibleFeatures, 20)
      store(incompatibleFeatures, 24)
      store(UInt32(pageByteCount), 28)
      store(checkpoint, 32)
      store(epoch.rawValue, 40)
      store(fileIdentifier.high.byteSwapped, 48)
      store(fileIdentifier.low.byteSwapped, 56)
      store(UInt64(pageCount), 64)
      store(root.page.id.rawValue, 72)
      store(root.page.epoch.rawValue, 80)
      store(UInt64(root.height), 88)
      store(UInt64(root.count), 96)
      store(mapDigest, 104)
      store(logEnd.rawValue, 112)
      if let log {
        store(log.extent.first.rawValue, 120)
        store(UInt64(log.extent.pageCount), 128)
        store(log.salt, 136)
        store(log.sequence, 144)
        store(log.firstLSN.rawValue, 152)
        store(log.replayFrom.rawValue, 160)
      }
      if let treeTable {
        store(treeTable.extent.first.rawValue, 168)
        store(UInt64(treeTable.extent.pageCount), 176)
        store(UInt64(treeTable.byteCount), 184)
        store(treeTable.checksum, 192)
      }
      let sum = checksum64(UnsafeRawBufferPointer(rebasing: bytes[..<504]), seed: 0)
      store(sum, 504)
    }
    return bytes
  }

  /// Why 512 bytes are not a superblock.
  enum Problem: Error {
    case noMagic, checksum, newerVersion(UInt32), unknownFeatures(UInt32), nonsense(String)
  }

  /// Reads a superblock and checks each number in it against what can be.
  static func decode(_ bytes: [UInt8]) throws(Problem) -> Superblock {
    let result: Result<Superblock, Problem> = bytes.withUnsafeBytes { raw in
      do throws(Problem) {
        return .success(try decode(raw))
      } catch {
        return .failure(error)
      }
    }
    return try result.get()
  }

  private static func decode(_ bytes: UnsafeRawBufferPointer) throws(Problem) -> Superblock {
    func load<T: FixedWidthInteger>(_ offset: Int, _: T.Type) -> T {
      T(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: T.self))
    }
    guard bytes.count >= byteCount, bytes[..<16].elementsEqual(magic) else { throw .noMagic }
    let sum = checksum64(UnsafeRawBufferPointer(rebasing: bytes[..<504]), seed: 0)
    guard load(504, UInt64.self) == sum else { throw .checksum }
    let version = load(16, UInt32.self)
    guard version == formatVersion else { throw .newerVersion(version) }
    let features = load(24, UInt32.self)
    guard features & ~knownIncompatibleFeatures == 0 else { throw .unknownFeatures(features) }
    let pageByteCount = Int(load(28, UInt32.self))
    guard isPageSize(pageByteCount) else { throw .nonsense("page size") }
    let most = UInt64(1) << 47
    for offset in [64, 72, 88, 96, 120, 128, 144, 168, 176, 184]
    where load(offset, UInt64.self) >= most {
      throw .nonsense("a number at offset \(offset) is beyond all bounds")
    }
    // Counters that only grow: with room above, so that adding to them can't overflow.
    for offset in [32, 40, 80, 112, 152, 160] where load(offset, UInt64.self) >= counterLimit {
      throw .nonsense("a number at offset \(offset) is beyond all bounds")
    }
    var block = Superblock(
      pageByteCount: pageByteCount,
      fileIdentifier: (load(48, UInt64.self).byteSwapped, load(56, UInt64.self).byteSwapped),
      pageCount: Int(load(64, UInt64.self)))
    block.formatVersion = version
    block.compatibleFeatures = load(20, UInt32.self)
    block.incompatibleFeatures = features
    block.checkpoint = load(32, UInt64.self)
    block.epoch = Epoch(load(40, UInt64.self))
    block.root = TreeRoot(
      page: PageReference(id: PageID(load(72, UInt64.self)), epoch: Epoch(load(80, UInt64.self))),
      height: Int(load(88, UInt64.self)), count: Int(load(96, UInt64.self)))
    block.mapDigest = load(104, UInt64.self)
    block.logEnd = LogSequenceNumber(load(112, UInt64.self))
    let logFirst = PageID(load(120, UInt64.self))
    if logFirst != .none {
      block.log = LogStart(
        extent: Extent(first: logFirst, pageCount: Int(load(128, UInt64.self))),
        salt: load(136, UInt64.self), sequence: load(144, UInt64.self),
        firstLSN: LogSequenceNumber(load(152, UInt64.self)),
        replayFrom: LogSequenceNumber(load(160, UInt64.self)))
    }
    let tableFirst = PageID(load(168, UInt64.self))
    if tableFirst != .none {
      block.treeTable = TreeTable.Location(
        extent: Extent(first: tableFirst, pageCount: Int(load(176, UInt64.self))),
        byteCount: Int(load(184, UInt64.self)), checksum: load(192, UInt64.self))
    }
    guard block.root.height <= 64, (block.root.height == 0) == (block.root.page.id == .none) else {
      throw .nonsense("tree height")
    }
    return block
  }

  /// What no counter reaches: a file whose numbers are made up is refused from here on.
  private static let counterLimit = UInt64(1) << 62

  /// Whether a counter has come so far that writing may take it to the limit, which no honest use
  /// does: the file is still read, and verifying it says so.
  var isNearItsEnd: Bool {
    let logNumbers = [log?.firstLSN.rawValue ?? 0, log?.replayFrom.rawValue ?? 0]
    return ([checkpoint, epoch.rawValue, root.page.epoch.rawValue, logEnd.rawValue] + logNumbers)
      .contains { $0 >= Self.counterLimit / 2 }
  }

  /// Whether pages may have this size.
  static func isPageSize(_ byteCount: Int) -> Bool {
    (4096...65536).contains(byteCount) && byteCount & (byteCount - 1) == 0
  }
}

/// Where the log begins that belongs to a checkpoint.
struct LogStart: Equatable, Sendable {
  /// The segment that the cut lies in.
  var extent: Extent
  /// That segment's salt (rule B1).
  var salt: UInt64
  /// How many segments came before it.
  var sequence: UInt64
  /// The position of the segment's first record.
  var firstLSN: LogSequenceNumber
  /// The cut: the position of the first record to replay.
  var replayFrom: LogSequenceNumber
}
