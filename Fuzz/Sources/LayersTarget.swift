@testable import BTreeKV
@testable import Pager
import Regions
import Vectors

// Files with regions, entry stores and vectors, edited like others; and Pcodec data.

extension FuzzTarget {
  /// A whole file with regions, entries and vectors: answers or errors, in bounded time.
  static let layers = FuzzTarget(
    run: { bytes in
      var input = FuzzInput(bytes)
      guard let base = layeredFiles[Int(input.byte()) % layeredFiles.count] else {
        return require(false, "the sample files can't be made")
      }
      exercise(base.edited(&input), reservedByteCount: layersAddressCount) { database in
        let isRead = useRegions(database)
        let areEntriesUsed = useEntries(database)
        return useVectors(database) && areEntriesUsed && isRead
      }
    },
    seeds: {
      (0..<120).map { [UInt8($0 % 2)] + editSeed($0 + 1, byteCount: $0 == 0 ? 0 : 4 + $0 / 8 * 4) }
        + structureSeeds
    })

  /// Pcodec data: an error, or as many numbers as there was room for at most, which survive being
  /// compressed again.
  static let pco = FuzzTarget(
    run: { bytes in
      var input = FuzzInput(bytes)
      switch input.byte() % 8 {
      case 0: decompress(input.all(), UInt8.self)
      case 1: decompress(input.all(), Int16.self)
      case 2: decompress(input.all(), UInt32.self)
      case 3: decompress(input.all(), Int64.self)
      case 4: decompress(input.all(), Float.self)
      case 5: decompress(input.all(), Double.self)
      case 6: decompress(input.all(), Float16.self)
      default: decompress(input.all(), UInt64.self)
      }
    },
    seeds: {
      var seeds: [[UInt8]] = []
      for count in [0, 1, 5, 300] {
        seeds.append([0] + pcoSeed((0..<count).map { UInt8(truncatingIfNeeded: $0 &* $0) }))
        seeds.append([1] + pcoSeed((0..<count).map { Int16($0 % 7) &- 3 }))
        seeds.append([2] + pcoSeed((0..<count).map { UInt32($0 / 9) &* 1000 }))
        seeds.append([3] + pcoSeed((0..<count).map { Int64($0) << 40 }))
        seeds.append([4] + pcoSeed((0..<count).map { Float($0) / 10 }))
        seeds.append([5] + pcoSeed((0..<count).map { Double($0) * 0.1 }))
        seeds.append([7] + pcoSeed((0..<count).map { UInt64($0) &* 0x9E37_79B9_7F4A_7C15 }))
      }
      return seeds
    })
}

private func pcoSeed<Number: PcoNumber>(_ numbers: [Number]) -> [UInt8] {
  (try? Pco.compress(numbers)) ?? []
}

private func decompress<Number: PcoNumber>(_ bytes: [UInt8], _ type: Number.Type) {
  let limit = 1 << 16
  guard let numbers = try? Pco.decompress(bytes, as: type, maximumCount: limit) else { return }
  require(numbers.count <= limit, "more numbers than there was room for")
  guard numbers.count <= 4096 else { return }
  guard let again = try? Pco.compress(numbers),
    let back = try? Pco.decompress(again, as: type, maximumCount: limit)
  else { return require(false, "numbers that were decompressed can't be compressed") }
  let isSame = numbers.withUnsafeBytes { old in
    back.withUnsafeBytes { new in old.elementsEqual(new) }
  }
  require(isSame, "numbers change when they are compressed again")
}

// MARK: Layers

private func useRegions(_ database: Database) -> Bool {
  attempt("regions") {
    for name in try database.regionNames() {
      guard let region = try database.existingRegion(name) else { continue }
      let whole = try region.readAll()
      let reader = try region.reader()
      let shown = reader.bytes.withUnsafeBytes { bytes in bytes.reduce(0) { $0 &+ Int($1) } }
      let isSame = shown == whole.reduce(0) { $0 &+ Int($1) }
      require(isSame, "a region's reader shows other bytes than a read")
      try region.append([UInt8](repeating: 4, count: 5000))
      try region.write([1, 2, 3], at: whole.count / 2)
      try region.truncate(to: whole.count / 3)
    }
    try database.region("new").append([1, 2, 3])
  }
}

private func useEntries(_ database: Database) -> Bool {
  attempt("entries") {
    for name in try database.entryStoreNames() {
      guard let store = try database.existingEntryStore(name) else { continue }
      var count = 0
      try store.forEach { entry in
        count += 1
        require(count < 100_000, "an endless iteration over entries")
        _ = entry.array
        return .next
      }
      _ = try store.lastEntry?.metadata
      for key in ["key 1", "key 20", "long", "none"] { _ = try store.read(key)?.array }
      try store.write("key 7", "another")
      _ = try store.remove("key 8")
      _ = try store.compact()
    }
  }
}

private func useVectors(_ database: Database) -> Bool {
  attempt("vectors") {
    for description in try database.vectors() {
      guard description.name == "numbers" else { continue }
      let vector = try RawVector<UInt64>.open(description.name, in: database)
      let reader = try vector.reader()
      var sum: UInt64 = 0
      for place in stride(from: 0, to: reader.count, by: 7) { sum &+= reader[place] }
      try vector.update(at: 3, sum)
      vector.append(7)
      try vector.write()
      try vector.commit(stamp: 1 << 40)
      try vector.rollback()
    }
  }
}

/// A closed file with regions, entries and a vector, and one whose writer died.
let layeredFiles: [SampleFile?] = [true, false].map { isClosed in
  do {
    return try SampleFile(layeredFile(isClosed: isClosed))
  } catch {
    require(false, "a sample file can't be made: \(error)")
    return nil
  }
}

/// Windows into a file are mapped in long pieces.
private let layersAddressCount = 1 << 30

private func layeredFile(isClosed: Bool) throws -> [UInt8] {
  let storage = try MemoryStorage(
    capacityByteCount: 16 << 20, reservedByteCount: layersAddressCount)
  let database = try openFile(storage)
  try database.region("short").append([UInt8](repeating: 1, count: 90))
  try database.region("long").append([UInt8](repeating: 2, count: 150_000))
  let store = try EntryStore(database, "store")
  for number in 0..<40 {
    try store.write("key \(number)", [UInt8](repeating: 3, count: 10 + number * 7))
  }
  try store.write("long", [UInt8](repeating: 4, count: 70_000))
  _ = try store.remove("key 5")
  let vector = try RawVector<UInt64>.open("numbers", in: database)
  vector.append(contentsOf: (0..<9000).map { UInt64($0) })
  try vector.commit(stamp: 1)
  for place in stride(from: 0, to: 9000, by: 400) { try vector.update(at: place, 5) }
  _ = try vector.take(at: 17)
  try vector.commit(stamp: 2)
  if isClosed {
    try database.close()
    return storage.reopen().copyOfContents()
  }
  try database.checkpoint()
  try database.region("long").append([UInt8](repeating: 5, count: 3000))
  try store.write("key 1", "in the log")
  try vector.update(at: 30, 9)
  try vector.write()
  let bytes = storage.copyOfContents()
  database.pager.abandon()
  return bytes
}
