import BTreeKV

/// The range of keys that `--from`, `--to` and `--prefix` name together.
struct Bounds {
  static let options = [
    OptionRule(name: "--from", placeholder: "KEY", summary: "begin with this key"),
    OptionRule(name: "--to", placeholder: "KEY", summary: "end before this key"),
    OptionRule(name: "--prefix", placeholder: "KEY", summary: "only keys that begin with this"),
  ]

  /// Whether any of them was given.
  let isGiven: Bool
  let range: KeyRange

  init(parsing arguments: Arguments) throws(Failure) {
    isGiven = Bounds.options.contains { arguments.has($0.name) }
    var range = KeyRange.all
    if let from = try arguments.bytes("--from") { range = .from(from) }
    if let to = try arguments.bytes("--to") { range = range.clamped(to: .upTo(to)) }
    if let prefix = try arguments.bytes("--prefix") { range = range.clamped(to: .prefix(prefix)) }
    self.range = range
  }
}
