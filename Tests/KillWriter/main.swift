// Writes to a database until it is killed, for `KillTests`: see there.
//
//     KillWriter FILE DURABILITY SEED FIRST-NUMBER [transactions | entries]
//
// Makes the changes of `KillHistory` from the given number on, and says on standard output, eight
// bytes each and unbuffered, which are acknowledged.

import BTreeKV
import Foundation
import Regions
import TestSupport

func apply(
  _ change: KillHistory.Change, to tree: borrowing some WritableTree & ~Copyable & ~Escapable
) throws {
  switch change {
  case .insert(let key, let value): try tree.insert(key, value)
  case .remove(let key): try tree.remove(key)
  }
}

/// Every second entry comes in pieces; now and then the store is compacted, which changes no content.
func apply(_ change: KillHistory.Change, _ number: UInt64, to store: EntryStore) throws {
  switch change {
  case .insert(let key, let value) where number % 2 == 0: try store.write(key, value)
  case .insert(let key, let value):
    try store.write(key) { writer in
      for start in stride(from: 0, to: value.count, by: 100_000) {
        try writer.write(Array(value[start..<min(value.count, start + 100_000)]))
      }
    }
  case .remove(let key): try store.remove(key)
  }
  if number % 16 == 15 { try store.compact() }
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
  let mode = arguments.count == 6 ? arguments[5] : ""
  let history = KillHistory(seed: seed)
  let entries = mode == "entries" ? try EntryStore(database, "store") : nil
  while true {
    if let entries {
      try apply(history.entryChange(number), number, to: entries)
    } else if mode == "transactions" {
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
