import BTreeKV
import Foundation
import Vectors

// Raw vectors that are changed, stamped, rolled back and opened.

/// A vector of `count` numbers in a new file, durable.
private func load(_ path: String, count: Int) throws -> (Database, RawVector<UInt64>) {
  let database = try create(path, .flush)
  let vector = try RawVector<UInt64>.open("numbers", in: database)
  try vector.write(appending: (0..<count).map { UInt64($0) })
  try vector.flush()
  try database.checkpoint()
  return (database, vector)
}

/// What the sum of a vector takes, and that of another one in turn with it: medians of sums by readers
/// of their own.
private func scan(_ vector: RawVector<UInt64>, _ other: RawVector<UInt64>) throws -> [Double] {
  var times: [[Double]] = [[], []]
  for _ in 0...roundCount {
    for (index, vector) in [vector, other].enumerated() {
      let reader = try vector.reader()
      var total: UInt128 = 0
      times[index].append(seconds { total = reader.sum() })
      precondition(total > 0)
    }
  }
  // The first sums touch the mappings.
  return times.map { median(Array($0.dropFirst())) }
}

/// A fiftieth of all elements updated at random places and made durable in one step; scans before,
/// after, and once folded, each beside those of a vector that is never changed.
func measureVectorUpdates(_ path: String, count: Int) throws {
  let updateCount = count / 50
  var times: [[Double]] = Array(repeating: [], count: 8)
  for round in 0..<3 {
    let (database, vector) = try load(path, count: count)
    let other = try RawVector<UInt64>.open("unchanged", in: database)
    try other.write(appending: (0..<count).map { UInt64($0) })
    try other.flush()
    var places = RandomPlaces(below: count)
    for _ in 0..<round { _ = places.next() }
    let before = try scan(vector, other)
    let updating = try seconds {
      for number in 0..<updateCount { try vector.update(at: places.next(), UInt64(number)) }
      try vector.flush()
    }
    let changed = try scan(vector, other)
    let folding = try seconds {
      try vector.fold()
      try vector.flush()
    }
    let folded = try scan(vector, other)
    let measured = [updating, folding, before[0], changed[0], folded[0]]
    let shares = [before, changed, folded].map { $0[0] / $0[1] }
    for (index, time) in (measured + shares).enumerated() {
      times[index].append(time)
    }
    try database.close()
  }
  let medians = times.map { median($0) }
  report(
    "vector_updates",
    [
      "updates": Double(updateCount), "seconds": medians[0], "fold_seconds": medians[1],
      "scan_before_ms": medians[2] * 1e3, "scan_changed_ms": medians[3] * 1e3,
      "scan_folded_ms": medians[4] * 1e3, "before_to_unchanged": medians[5],
      "changed_to_unchanged": medians[6], "folded_to_unchanged": medians[7],
    ])
}

/// Ten cycles of a five-hundredth of all elements updated and stamped, and rolled back, both durable.
func measureVectorStamps(_ path: String, count: Int) throws {
  let updateCount = count / 500
  var committing: [[Double]] = Array(repeating: [], count: 10)
  var rollingBack = committing
  for _ in 0..<3 {
    let (database, vector) = try load(path, count: count)
    try vector.commit(stamp: 1, durability: .sync)
    var places = RandomPlaces(below: count)
    for cycle in 0..<10 {
      committing[cycle].append(
        try seconds {
          for _ in 0..<updateCount { try vector.update(at: places.next(), 7) }
          try vector.commit(stamp: 2, durability: .sync)
        })
      rollingBack[cycle].append(try seconds { try vector.rollback(durability: .sync) })
      let stamp = try vector.stamp
      precondition(stamp == 1)
    }
    let sum = try vector.reader().sum()
    precondition(sum == UInt128(count) * UInt128(count - 1) / 2)
    try database.close()
  }
  let stamps = committing.map { median($0) * 1e3 }
  let rollbacks = rollingBack.map { median($0) * 1e3 }
  report(
    "vector_stamps",
    [
      "updates": Double(updateCount), "stamp_ms": median(stamps), "rollback_ms": median(rollbacks),
      "first_stamp_ms": stamps[0], "tenth_stamp_ms": stamps[9], "first_rollback_ms": rollbacks[0],
      "tenth_rollback_ms": rollbacks[9],
      "tenth_ratio": (stamps[9] + rollbacks[9]) / (stamps[0] + rollbacks[0]),
    ])
}

/// A file that was closed: opened, the vector in it, a reader, and its last element read.
func measureVectorOpening(_ path: String, count: Int) throws {
  try load(path, count: count).0.close()
  var times: [[Double]] = [[], [], []]
  for _ in 0..<2 * roundCount {
    var database: Database?
    times[0].append(try seconds { database = try open(path, .flush) })
    guard let database else { return }
    var vector: RawVector<UInt64>?
    times[1].append(try seconds { vector = try RawVector.open("numbers", in: database) })
    var last: UInt64?
    times[2].append(try seconds { last = try vector?.reader()[count - 1] })
    precondition(last == UInt64(count - 1))
    try database.close()
  }
  let milliseconds = times.map { median($0) * 1e3 }
  report(
    "vector_open",
    [
      "database_ms": milliseconds[0], "vector_ms": milliseconds[1], "reader_ms": milliseconds[2],
      "longest_vector_ms": (times[1].max() ?? 0) * 1e3,
    ])
}
