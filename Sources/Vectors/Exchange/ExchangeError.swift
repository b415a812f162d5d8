/// Why data of another format could not be taken.
public struct ExchangeError: Error, Equatable, Sendable, CustomStringConvertible {
  /// The line of a text, from 1; nil where there are no lines.
  public let line: Int?
  /// The byte of the line, from 1, where what is wrong begins or shows.
  public let column: Int?
  /// What is wrong.
  public let message: String

  init(_ message: String, line: Int? = nil, column: Int? = nil) {
    self.message = message
    self.line = line
    self.column = column
  }

  /// The place and what is wrong there.
  public var description: String {
    guard let line, let column else { return message }
    return "line \(line), column \(column): \(message)"
  }
}
