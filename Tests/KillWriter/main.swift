// Writes to a database until it is killed, for `KillTests`: see there.
//
//     KillWriter FILE DURABILITY SEED FIRST-NUMBER [transactions]
//
// Makes the changes of `KillHistory` from the given number on, and says on standard output, eight
// bytes each and unbuffered, which are acknowledged.

import BTreeKV
import Foundation
import TestSupport

func apply(
  _ change: KillHistory.Change, to tree: borrowing some WritableTree & ~Copyable & ~Escapable
) throws {
  switch change {
  case .insert(let key, let value): try tree.insert(key, value)
  case .remove(let key): try tree.remove(key)
  }
}

func run() throws {
  let arguments = CommandLine.arguments
  guard arguments.count == 5 || arguments.count == 6,
    let durability = Database.Durability(rawValue: arguments[2]),
    let seed = UInt64(arguments[3]), var number = UInt64(arguments[4])
  else { throw TestFailure("usage: KillWriter FILE DURABILITY SEED FIRST-NUMBER") }
  var options = tightOptions(durability: durability)
  // So that some are committed by a checkpoint.
  options.transactionLogLimitByteCount = 30_000
  let database = try Database.open(arguments[1], options: options)
  let isInTransactions = arguments.count == 6
  let history = KillHistory(seed: seed)
  while true {
    if isInTransactions {
      try database.write { transaction in
        let other = try transaction.tree("other")
        for change in history.transaction(number) {
          try apply(change, to: transaction)
          try apply(change, to: other)
        }
        // Another tree comes and goes, full of what must not come back.
        try transaction.dropTree("passing \(number &- 1)")
        try transaction.tree("passing \(number)").insert("a", "b")
      }
    } else {
      try apply(history.change(number), to: database)
    }
    var word = number.littleEndian
    let written = withUnsafeBytes(of: &word) { write(1, $0.baseAddress, 8) }
    // The test is gone: nobody listens any more.
    guard written == 8 else { return }
    number += 1
    if number % 500 == 0 { try database.checkpoint() }
  }
}

do {
  try run()
} catch {
  FileHandle.standardError.write(Data("KillWriter: \(error)\n".utf8))
  exit(1)
}
