import BTreeKV

/// What the command line asks for.
struct Options: Equatable {
  /// In the order in which they run.
  enum Phase: String, CaseIterable {
    case insert, lookup, ascending, descending, step, mixed, verify, remove
  }

  /// What a writer thread of the mixed phase writes.
  enum Writes: String, CaseIterable {
    case update, insert
  }

  struct Threads: Equatable {
    var readers: Int
    var writers: Int
  }

  static let defaultPath = "demo.btreekv"

  var count: UInt64 = 1_000_000
  var path = Options.defaultPath
  var pageSize: Int?
  var durability = Database.Durability.flush
  var cacheMebibytes = 256
  var keys = Workload.Keys.random
  var keyByteCount = 8
  var valueByteCount = 8
  var seed: UInt64 = 42
  var threads = Threads(readers: 1, writers: 1)
  var writes = Writes.update
  var seconds = 2.0
  var phases: Set<Phase> = [.insert, .lookup, .ascending, .descending, .step, .remove]
  var measuresLatency = false
  var printsJSON = false
  var keepsFile = false

  static let usage = """
    usage: Demo [options]

    Inserts random pairs into a BTreeKV file, looks all of them up, walks them both ways and removes
    them, checks every answer and says how long it took.

      --count N                pairs; 1000000, 1_000_000 and 1M are the same (default 1M)
      --path FILE              the database (default \(defaultPath)); removed at the end
                               unless --keep
      --page-size BYTES        of a new file: a power of two, 4096...65536
      --durability WHICH       flush (default), sync or none
      --cache-mib N            memory for pages, in MiB (default 256)
      --keys WHICH             random (default) or ascending: big-endian counters, inserted in order
      --key-bytes N            (default 8)
      --value-bytes N          (default 8)
      --seed N                 of keys, values and orders (default 42)
      --phases LIST            of insert,lookup,ascending,descending,step,mixed,verify,remove;
                               they run in this order (default: all but mixed and verify)
      --threads READERS,WRITERS  adds the phase mixed with so many threads
      --writes WHICH           of mixed: update (default) pairs, or insert new ones
      --seconds S              that mixed lasts (default 2)
      --latency                adds p50, p99, p99.9 and max of the operations of each phase
      --json                   one JSON object a line
      --keep                   uses FILE if it is there already, and leaves it there
      --help                   prints this

    A file that is there already is refused without --keep. Ctrl-C finishes the current operation,
    closes the file and leaves it; a second one ends at once.
    Exit status: 0 all answers right, 1 a wrong answer or an error, 2 bad usage, 130 interrupted.

    """
}

/// Why a command line can't be followed.
struct UsageError: Error, Equatable {
  var message: String
}
