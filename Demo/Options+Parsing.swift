import BTreeKV

extension Options {
  /// Reads a command line, in which `--name value` and `--name=value` mean the same.
  ///
  /// - Parameter arguments: Without the program's name.
  /// - Returns: What it asks for; nil when that is help.
  /// - Throws: Why it can't be followed.
  static func parse(_ arguments: some Sequence<String>) throws(UsageError) -> Options? {
    var options = Options()
    var isMixed = false
    var rest = Array(arguments)[...]
    while let argument = rest.popFirst() {
      let parts = argument.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      let name = String(parts[0])
      let attached = parts.count > 1 ? String(parts[1]) : nil
      if name == "--help" || name == "-h" { return nil }
      if let flag = flag(named: name) {
        guard attached == nil else { throw UsageError(message: "\(name) takes no value") }
        options[keyPath: flag] = true
        continue
      }
      guard valueNames.contains(name) else {
        throw UsageError(message: "unknown option \(argument)")
      }
      guard let value = attached ?? rest.popFirst() else {
        throw UsageError(message: "\(name) needs a value")
      }
      try options.set(name, to: value)
      isMixed = isMixed || name == "--threads"
    }
    if isMixed { options.phases.insert(.mixed) }
    try options.validate()
    return options
  }

  private static let valueNames: Set<String> = [
    "--count", "--path", "--page-size", "--durability", "--cache-mib", "--keys", "--key-bytes",
    "--value-bytes", "--seed", "--phases", "--threads", "--writes", "--seconds",
  ]

  private static func flag(named name: String) -> WritableKeyPath<Options, Bool>? {
    switch name {
    case "--latency": \.measuresLatency
    case "--json": \.printsJSON
    case "--keep": \.keepsFile
    default: nil
    }
  }

  private mutating func set(_ name: String, to value: String) throws(UsageError) {
    switch name {
    case "--count": count = UInt64(try wholeNumber(name, value, in: 1...1 << 48))
    case "--path": path = value
    case "--page-size": pageSize = try wholeNumber(name, value, in: 4096...65536)
    case "--durability": durability = try choice(name, value)
    case "--cache-mib": cacheMebibytes = try wholeNumber(name, value, in: 1...1 << 30)
    case "--keys": keys = try choice(name, value)
    case "--key-bytes": keyByteCount = try wholeNumber(name, value, in: 1...1 << 20)
    case "--value-bytes": valueByteCount = try wholeNumber(name, value, in: 0...1 << 34)
    case "--seed": seed = UInt64(try wholeNumber(name, value, in: 0...Int.max))
    case "--phases": phases = try phaseList(name, value)
    case "--threads": threads = try threadCounts(name, value)
    case "--writes": writes = try choice(name, value)
    default: seconds = try duration(name, value)
    }
  }

  private func validate() throws(UsageError) {
    if path.isEmpty { throw UsageError(message: "--path needs the name of a file") }
    if let pageSize, pageSize & (pageSize - 1) != 0 {
      throw UsageError(message: "--page-size: \(pageSize) is no power of two")
    }
    if count > Workload.keySpace(keyByteCount: keyByteCount) {
      throw UsageError(message: "--key-bytes: \(keyByteCount) can't make \(count) distinct keys")
    }
    guard phases.contains(.mixed) else { return }
    if writes == .insert && keyByteCount < 8 {
      throw UsageError(message: "--writes insert needs keys of at least 8 bytes")
    }
    if UInt64(threads.writers) > count {
      throw UsageError(message: "--threads: more writers than pairs")
    }
  }
}

// MARK: - Values

/// A whole number, with `_` between digits and K, M or G behind them (thousands, millions, ...).
func parseWholeNumber(_ text: String) -> Int? {
  var digits = text[...]
  var unit = 1
  switch digits.last {
  case "k", "K": unit = 1000
  case "m", "M": unit = 1_000_000
  case "g", "G": unit = 1_000_000_000
  default: break
  }
  if unit > 1 { digits.removeLast() }
  guard let first = digits.first, let last = digits.last, first != "_", last != "_",
    digits.allSatisfy({ $0 == "_" || ("0"..."9").contains($0) }),
    let number = Int(String(digits.filter { $0 != "_" }))
  else { return nil }
  let (product, overflow) = number.multipliedReportingOverflow(by: unit)
  return overflow ? nil : product
}

private func wholeNumber(
  _ name: String, _ value: String, in range: ClosedRange<Int>
) throws(UsageError) -> Int {
  guard let number = parseWholeNumber(value), range.contains(number) else {
    let bounds = "\(range.lowerBound)...\(range.upperBound)"
    throw UsageError(message: "\(name): \"\(value)\" is no number of \(bounds)")
  }
  return number
}

private func choice<Choice: RawRepresentable<String> & CaseIterable>(
  _ name: String, _ value: String
) throws(UsageError) -> Choice {
  if let choice = Choice(rawValue: value) { return choice }
  let choices = Choice.allCases.map(\.rawValue).joined(separator: ", ")
  throw UsageError(message: "\(name): \"\(value)\" is none of \(choices)")
}

private func phaseList(
  _ name: String, _ value: String
) throws(UsageError) -> Set<Options.Phase> {
  var phases: Set<Options.Phase> = []
  for phase in value.split(separator: ",", omittingEmptySubsequences: false) {
    phases.insert(try choice(name, String(phase)))
  }
  return phases
}

private func threadCounts(_ name: String, _ value: String) throws(UsageError) -> Options.Threads {
  let numbers = value.split(separator: ",", omittingEmptySubsequences: false)
    .map { parseWholeNumber(String($0)) }
  guard numbers.count == 2, let readers = numbers[0], let writers = numbers[1],
    0...1024 ~= readers, 0...1024 ~= writers, readers + writers > 0
  else {
    throw UsageError(message: "\(name): \"\(value)\" is not READERS,WRITERS (such as 2,1)")
  }
  return Options.Threads(readers: readers, writers: writers)
}

private func duration(_ name: String, _ value: String) throws(UsageError) -> Double {
  guard let seconds = Double(value), seconds > 0, seconds <= 86400 else {
    throw UsageError(message: "\(name): \"\(value)\" is no number of seconds")
  }
  return seconds
}
