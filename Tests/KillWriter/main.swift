// Writes to a database until it is killed, for `KillTests`: see there.
//
//     KillWriter FILE DURABILITY SEED FIRST-NUMBER
//
// Makes the changes of `KillHistory` from the given number on, and says on standard output, eight
// bytes each and unbuffered, which are acknowledged.

import BTreeKV
import Foundation
import TestSupport

func run() throws {
  let arguments = CommandLine.arguments
  guard arguments.count == 5, let durability = Database.Durability(rawValue: arguments[2]),
    let seed = UInt64(arguments[3]), var number = UInt64(arguments[4])
  else { throw TestFailure("usage: KillWriter FILE DURABILITY SEED FIRST-NUMBER") }
  let database = try Database.open(arguments[1], options: tightOptions(durability: durability))
  let history = KillHistory(seed: seed)
  while true {
    switch history.change(number) {
    case .insert(let key, let value): try database.insert(key, value)
    case .remove(let key): try database.remove(key)
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
