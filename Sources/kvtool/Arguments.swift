/// An option of a command or of the tool.
struct OptionRule: Sendable {
  /// With its two dashes.
  let name: String
  /// What stands for the value in usage lines; nil for an option without one.
  var placeholder: String?
  let summary: String

  /// The option as usage lines show it.
  var usage: String { placeholder.map { "\(name) \($0)" } ?? name }
}

/// Words sorted into operands and options.
struct Arguments {
  var operands: [Word] = []
  /// The options that were given; the last one wins, so that an alias can be overruled.
  private(set) var options: [String: Word] = [:]

  /// Sorts words by the rules.
  ///
  /// Options may stand anywhere. Only words of two dashes are options: `-5` is a key, and `-` a
  /// value. After a word `--` nothing is an option.
  init(sorting words: some Sequence<Word>, rules: [OptionRule]) throws(Failure) {
    var words = words.makeIterator()
    while let word = words.next() {
      guard !word.isQuoted && word.bytes.starts(with: "--".utf8) else {
        operands.append(word)
        continue
      }
      if word.bytes.count == 2 {
        while let operand = words.next() { operands.append(operand) }
        return
      }
      let parts = word.bytes.split(
        separator: UInt8(ascii: "="), maxSplits: 1,
        omittingEmptySubsequences: false)
      let name = String(decoding: parts[0], as: UTF8.self)
      guard let rule = rules.first(where: { $0.name == name }) else {
        throw .usage("unknown option \(Literal.quoted(word))")
      }
      let attached = parts.count > 1 ? Word(bytes: [UInt8](parts[1])) : nil
      if let placeholder = rule.placeholder {
        guard let value = attached ?? words.next() else {
          throw .usage("\(name) needs a value: \(name) \(placeholder)")
        }
        options[name] = value
      } else {
        guard attached == nil else { throw .usage("\(name) takes no value") }
        options[name] = Word(bytes: [])
      }
    }
  }

  func has(_ name: String) -> Bool { options[name] != nil }

  /// The key or value given with an option.
  func bytes(_ name: String) throws(Failure) -> [UInt8]? {
    guard let word = options[name] else { return nil }
    return try Literal.bytes(of: word)
  }

  /// The whole number given with an option.
  func number(_ name: String, in range: ClosedRange<Int>) throws(Failure) -> Int? {
    guard let word = options[name] else { return nil }
    return try Self.number(word, of: name, in: range)
  }

  /// The whole number that a word is.
  static func number(
    _ word: Word, of name: String, in range: ClosedRange<Int>
  ) throws(Failure) -> Int {
    let digits = UInt8(ascii: "0")...UInt8(ascii: "9")
    guard word.bytes.allSatisfy({ digits ~= $0 }), let number = Int(word.text),
      range.contains(number)
    else {
      let limits =
        range.upperBound == Int.max
        ? "from \(range.lowerBound)" : "\(range.lowerBound) to \(range.upperBound)"
      throw .usage("\(name) takes a whole number, \(limits); \(Literal.quoted(word)) is not")
    }
    return number
  }
}
