import BTreeKV

/// The prompt: the tool's commands, a line each, on a database that is opened once.
///
/// Works in pipes too. There it shows no prompt, a failing command does not stop the rest, and
/// the exit status is the worst of all.
struct Prompt {
  let session: Session
  private var input = Input()
  private var lineNumber = 0

  init(session: Session) {
    self.session = session
  }

  consuming func run() throws(Failure) -> ExitStatus {
    var worst = try start()
    do {
      worst = try max(worst, runLines())
    } catch {
      // The input's failure is the one to tell of.
      try? session.close()
      throw error
    }
    if !session.isOpen && worst < .failed && !session.isInteractive {
      // Nothing asked for the missing file: say so, as every other use of one does.
      _ = try session.database(for: .read)
    }
    try session.close()
    // A person has seen what went wrong; the shell need not hear of every slip.
    return session.isInteractive ? .done : worst
  }

  /// Opens the database; a missing one may be `create`d here.
  private func start() throws(Failure) -> ExitStatus {
    do {
      _ = try session.database(for: .write)
    } catch {
      guard case .database(let reason) = error, reason.code == .notFound else { throw error }
      if session.isInteractive { report(error) }
      return .done
    }
    if session.isInteractive { Diagnostics.write("\(session.path): help lists the commands\n") }
    return .done
  }

  private mutating func runLines() throws(Failure) -> ExitStatus {
    var worst = ExitStatus.done
    while true {
      Interrupt.arm()
      if session.isInteractive { Diagnostics.write("kvtool> ") }
      switch try input.nextLine() {
      case .end:
        if session.isInteractive { Diagnostics.write("\n") }
        return worst
      case .interrupted:
        guard session.isInteractive else { return max(worst, .failed) }
        Diagnostics.write("\n")
      case .line(let line):
        lineNumber += 1
        guard let status = runLine(line) else { return worst }
        worst = max(worst, status)
        guard session.output.isOpen else { return worst }
        guard session.isInteractive || !Interrupt.isPending else { return max(worst, .failed) }
      }
    }
  }

  /// Runs one line.
  ///
  /// - Returns: how it went; nil when it says to quit.
  private func runLine(_ line: [UInt8]) -> ExitStatus? {
    let kept = session.settings
    defer { session.settings = kept }
    var status: ExitStatus
    do {
      let words = try Prompt.split(line)
      guard let first = words.first else { return .done }
      if words.count == 1 && !first.isQuoted && ["quit", "exit"].contains(first.text) {
        return nil
      }
      status = try runCommand(words)
    } catch {
      // Standard output first, so that on a terminal the lines keep their order.
      try? session.output.flush()
      report(error)
      return error.status
    }
    do {
      try session.output.flush()
    } catch {
      report(error)
      status = max(status, error.status)
    }
    return status
  }

  private func runCommand(_ words: [Word]) throws(Failure) -> ExitStatus {
    var arguments = try Arguments(sorting: words, rules: Kvtool.allRules)
    if arguments.has("--help") {
      let topic = try arguments.operands.first.map(Kvtool.command(named:))
      return Help(topic: topic).write(to: session.output)
    }
    guard !arguments.operands.isEmpty else { throw .usage("which command?") }
    let command = try Kvtool.command(named: arguments.operands.removeFirst())
    session.settings = try session.settings.applying(arguments, isOpen: session.isOpen)
    let made = try command.make(from: arguments)
    return try made.run(in: session)
  }

  private func report(_ failure: Failure) {
    // At a terminal the line stands right above.
    Kvtool.report(
      failure, path: session.path, line: session.isInteractive ? nil : lineNumber, isPrompt: true)
  }

  /// Splits a line into words at blanks.
  ///
  /// A word that begins with `'` or `"` goes on to the same quote, doubled inside, and is text
  /// whatever it looks like; `X'…'`, `X64'…'` and `T'…'` go on to their closing quote. Quotes
  /// elsewhere are ordinary characters, so that `it's` is a word.
  static func split(_ line: [UInt8]) throws(Failure) -> [Word] {
    var words: [Word] = []
    var rest = line[...]
    while true {
      rest = rest.drop(while: isBlank)
      guard let first = rest.first else { return words }
      if first == UInt8(ascii: "'") || first == UInt8(ascii: "\"") {
        let end = try closingQuote(first, in: rest.dropFirst())
        words.append(Word(bytes: undoubled(rest[rest.startIndex + 1..<end], first), isQuoted: true))
        rest = rest[(end + 1)...]
      } else if let prefix = Literal.quotedPrefixes.first(where: { rest.starts(with: $0.utf8) }) {
        let end = try closingQuote(UInt8(ascii: "'"), in: rest.dropFirst(prefix.utf8.count))
        words.append(Word(bytes: [UInt8](rest[...end])))
        rest = rest[(end + 1)...]
      } else {
        let word = rest.prefix { !isBlank($0) }
        words.append(Word(bytes: [UInt8](word)))
        rest = rest[word.endIndex...]
        continue
      }
      if let next = rest.first, !isBlank(next) {
        throw .usage("a blank is missing after a closing quote")
      }
    }
  }

  private static func isBlank(_ byte: UInt8) -> Bool {
    byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\t") || byte == UInt8(ascii: "\r")
  }

  /// Where the quote stands that is not one of two.
  private static func closingQuote(
    _ quote: UInt8, in bytes: ArraySlice<UInt8>
  ) throws(Failure) -> Int {
    var index = bytes.startIndex
    while index < bytes.endIndex {
      if bytes[index] != quote {
        index += 1
      } else if index + 1 < bytes.endIndex && bytes[index + 1] == quote {
        index += 2
      } else {
        return index
      }
    }
    throw .usage("a closing quote is missing")
  }

  private static func undoubled(_ bytes: ArraySlice<UInt8>, _ quote: UInt8) -> [UInt8] {
    var result: [UInt8] = []
    var index = bytes.startIndex
    while index < bytes.endIndex {
      result.append(bytes[index])
      index += bytes[index] == quote ? 2 : 1
    }
    return result
  }
}
