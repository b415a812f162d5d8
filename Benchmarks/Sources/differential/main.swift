import Foundation

// The same random histories on BTreeKV and on the system's SQLite: every answer must be equal.
//
//     swift run -c release --package-path Benchmarks differential [SECONDS [SEED]]
//
// Histories begin with SEED, and count up from there until SECONDS have passed; SECONDS 0 plays one.

/// What is different at some place of a history.
struct Difference {
  var index: Int
  var text: String
}

/// Plays a history on both engines.
///
/// - Returns: the first difference, and how many answers were equal before.
func difference(in history: [Operation], _ folder: String) throws -> (Difference?, Int) {
  try? FileManager.default.removeItem(atPath: folder)
  try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
  let ours = try OurPlayer(path: folder + "/ours.btreekv")
  let theirs = try SQLitePlayer(path: folder + "/theirs.sqlite")
  defer {
    try? ours.close()
    try? theirs.close()
  }
  var count = 0
  // At the end everything that is there.
  let ending = (0..<treeCount).flatMap { tree in
    [false, true].map { isReversed in
      Operation.step(tree, .scan(Bounds(), isReversed: isReversed, limit: 1_000_000))
    }
  }
  for (index, operation) in (history + ending).enumerated() {
    let (mine, other): ([Answer], [Answer])
    do {
      (mine, other) = (try ours.play(operation), try theirs.play(operation))
    } catch {
      return (Difference(index: index, text: "an error: \(error)"), count)
    }
    for (a, b) in zip(mine, other) where a != b {
      return (Difference(index: index, text: "BTreeKV: \(short(a))\nSQLite:  \(short(b))"), count)
    }
    if mine.count != other.count {
      return (Difference(index: index, text: "\(mine.count) and \(other.count) answers"), count)
    }
    count += mine.count
  }
  let problems = try ours.problems()
  if let first = problems.first {
    return (Difference(index: history.count, text: "verify: \(first)"), count)
  }
  return (nil, count)
}

func short(_ answer: Answer) -> String {
  "\(answer.number) \(answer.bytes.prefix(6).map(hex))"
}

func hex(_ bytes: [UInt8]) -> String {
  let digits = bytes.prefix(40).map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }
  return "X'\(digits.joined())'" + (bytes.count > 40 ? "…(\(bytes.count))" : "")
}

/// Leaves out what the difference does not need: halves at first, in the end single operations, then
/// those of the transactions.
func minimised(_ history: [Operation], _ isDifferent: ([Operation]) -> Bool) -> [Operation] {
  var rest = history
  var size = max(1, rest.count / 2)
  while true {
    var start = 0
    while start < rest.count {
      var shorter = rest
      shorter.removeSubrange(start..<min(start + size, shorter.count))
      if isDifferent(shorter) { rest = shorter } else { start += size }
    }
    if size == 1 { break }
    size /= 2
  }
  for index in rest.indices {
    switch rest[index] {
    case .transaction(let part, let isCommitted):
      let shorter = minimised(part) { part in
        var other = rest
        other[index] = .transaction(part, isCommitted: isCommitted)
        return isDifferent(other)
      }
      rest[index] = .transaction(shorter, isCommitted: isCommitted)
    case .savepoint(let part, let isCommitted):
      let shorter = minimised(part) { part in
        var other = rest
        other[index] = .savepoint(part, isCommitted: isCommitted)
        return isDifferent(other)
      }
      rest[index] = .savepoint(shorter, isCommitted: isCommitted)
    case .step, .reopen: continue
    }
  }
  return rest
}

func main() throws -> Int32 {
  let arguments = CommandLine.arguments
  let limit = arguments.count > 1 ? Double(arguments[1]) ?? 20 : 20
  let first = arguments.count > 2 ? UInt64(arguments[2]) ?? 1 : 1
  let folder = NSTemporaryDirectory() + "differential-\(UUID().uuidString)"
  defer { try? FileManager.default.removeItem(atPath: folder) }
  let start = ContinuousClock.now
  var seed = first
  var answerCount = 0
  repeat {
    var maker = HistoryMaker(seed: seed)
    let history = maker.history(operationCount: 3000)
    let (found, count) = try difference(in: history, folder)
    answerCount += count
    if let found {
      print("differential: seed \(seed), operation \(found.index):\n\(found.text)\nminimised:")
      let shortest = minimised(Array(history.prefix(found.index + 1))) {
        ((try? difference(in: $0, folder))?.0) != nil
      }
      for operation in shortest { print("  \(operation)") }
      return 1
    }
    seed += 1
  } while start.duration(to: .now) < .seconds(limit)
  print(
    "differential: \(answerCount) answers equal in \(seed - first) histories, seeds \(first) to \(seed - 1)"
  )
  return 0
}

exit(try main())
