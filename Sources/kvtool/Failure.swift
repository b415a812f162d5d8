import BTreeKV

/// What the process returns to the shell; higher is worse, so that a run of commands can return
/// its maximum.
enum ExitStatus: Int32, Comparable, Sendable {
  /// Done, or found.
  case done = 0
  /// The key, or an entry on that side of it, is not there.
  case notFound = 1
  /// The command line could not be understood; nothing was done.
  case badUsage = 2
  /// The database, or the input or output, failed.
  case failed = 3

  static func < (left: ExitStatus, right: ExitStatus) -> Bool {
    left.rawValue < right.rawValue
  }
}

/// Why a command did not come to its end.
enum Failure: Error {
  /// What is wrong with the words, and whose usage line helps.
  case usage(String, command: (any Command.Type)? = nil)
  case database(DatabaseError)
  /// A failed call on something other than the database: standard input or output.
  case system(what: String, errorNumber: Int32)
  /// Something else that only needs saying.
  case other(String)

  /// Takes any error of the engine, also from calls whose throws are untyped.
  init(_ error: any Error) {
    switch error {
    case let failure as Failure: self = failure
    case let error as DatabaseError: self = .database(error)
    default: self = .other(String(describing: error))
    }
  }

  var status: ExitStatus {
    if case .usage = self { .badUsage } else { .failed }
  }

  /// The lines for standard error, without the tool's name.
  ///
  /// - Parameters:
  ///   - path: the file, named in front of a message that does not name it itself.
  ///   - isPrompt: whether the user is at the prompt, where usage lines have no `kvtool FILE`.
  /// - Returns: one line, or for bad usage a second one with a hint.
  func message(path: String?, isPrompt: Bool) -> String {
    switch self {
    case .usage(let message, let command):
      let start = isPrompt ? "" : "kvtool FILE "
      guard let command else {
        return message + "\n" + (isPrompt ? "try: help" : "try: kvtool --help")
      }
      return message + "\nusage: " + start + command.usage
    case .database(let error):
      var message = located(error.description, at: path)
      if error.code == .notFound {
        message += isPrompt ? "; make it with: create" : "; make it with: kvtool FILE create"
      }
      return message
    case .system(let what, let errorNumber):
      return what + ": " + System.message(errorNumber)
    case .other(let message):
      return singleLine(message)
    }
  }
}

/// The message on one line, with the file in front unless it is named already.
func located(_ message: String, at path: String?) -> String {
  let message = singleLine(message)
  guard let path = path.map(singleLine), !message.contains(path) else { return message }
  return path + ": " + message
}

/// The text with its control characters shown as `?`, so that a message stays one line and a
/// file's name cannot steer the terminal.
func singleLine(_ text: String) -> String {
  String(String.UnicodeScalarView(text.unicodeScalars.map { $0.isPrintable ? $0 : "?" }))
}
