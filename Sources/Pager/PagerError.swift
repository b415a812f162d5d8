/// An error of the page store: what happened, where, and what to do about it.
///
/// The whole content lives in one immutable object, so that the value is a single pointer: typed
/// throws pass it in a register, and functions that never fail pay nothing for it.
public struct PagerError: Error, Sendable, CustomStringConvertible {
  /// The kind of an error; open, so that later releases can add kinds.
  public struct Code: Hashable, Sendable, CustomStringConvertible {
    /// The stable name of the code, as it appears in descriptions.
    public let name: String

    /// Makes a code of the given name.
    public init(name: String) {
      self.name = name
    }

    /// The name of the code.
    public var description: String { name }

    /// There is no such file or directory.
    public static let notFound = Code(name: "notFound")
    /// The file was to be created but is there already.
    public static let alreadyExists = Code(name: "alreadyExists")
    /// The path leads to something that is not a database file.
    public static let notADatabase = Code(name: "notADatabase")
    /// The file was written in a format that this release does not know.
    public static let unsupportedVersion = Code(name: "unsupportedVersion")
    /// The content of the file contradicts itself or its checksums.
    public static let corrupted = Code(name: "corrupted")
    /// Another process or handle has the file open.
    public static let busy = Code(name: "busy")
    /// A change was asked of something that is open for reading only.
    public static let readOnly = Code(name: "readOnly")
    /// The operating system refuses access.
    public static let permissionDenied = Code(name: "permissionDenied")
    /// There is no room for the data; nothing was changed, and the call can be repeated.
    public static let diskFull = Code(name: "diskFull")
    /// The device or the file system failed.
    public static let inputOutput = Code(name: "inputOutput")
    /// An earlier failure to write or sync makes further writes unsafe.
    public static let poisoned = Code(name: "poisoned")
    /// The object was closed before the call.
    public static let closed = Code(name: "closed")
    /// The key is longer than the page size allows.
    public static let keyTooLong = Code(name: "keyTooLong")
    /// The value is longer than the format allows.
    public static let valueTooLong = Code(name: "valueTooLong")
    /// An argument is outside what the call accepts.
    public static let invalidArgument = Code(name: "invalidArgument")
    /// The change may or may not be durable; only reopening tells.
    public static let outcomeUnknown = Code(name: "outcomeUnknown")
    /// A transaction of the same thread is under way.
    public static let nestedTransaction = Code(name: "nestedTransaction")
    /// The transaction has ended.
    public static let transactionEnded = Code(name: "transactionEnded")
    /// The snapshot is older than the options allow, and was let go.
    public static let snapshotExpired = Code(name: "snapshotExpired")
    /// What is stored is of another type than was asked for.
    public static let typeMismatch = Code(name: "typeMismatch")
    /// The last writer did not close the file, and a reader can't recover it.
    public static let needsRecovery = Code(name: "needsRecovery")
    /// The process has no room for the addresses asked for.
    public static let outOfAddressSpace = Code(name: "outOfAddressSpace")
  }

  /// Everything the error carries, immutable and therefore free to share.
  private final class Context: Sendable {
    let code: Code
    let message: String
    let path: String?
    let page: UInt64?
    let byteOffset: Int?
    let expected: UInt64?
    let found: UInt64?
    let systemError: Int32?

    init(
      code: Code, message: String, path: String?, page: UInt64?, byteOffset: Int?,
      expected: UInt64?, found: UInt64?, systemError: Int32?
    ) {
      self.code = code
      self.message = message
      self.path = path
      self.page = page
      self.byteOffset = byteOffset
      self.expected = expected
      self.found = found
      self.systemError = systemError
    }
  }

  private let context: Context

  /// Makes an error.
  ///
  /// - Parameters:
  ///   - code: The kind of error.
  ///   - message: What happened and, behind `"; "`, what to do about it.
  ///   - path: The file concerned.
  ///   - page: The page concerned.
  ///   - byteOffset: Where in the file (or, with a page, in the page) it happened, in bytes.
  ///   - expected: The number that should have been there.
  ///   - found: The number that was there.
  ///   - systemError: The `errno` of the system call that failed.
  @inline(never)
  public init(
    _ code: Code, _ message: String, path: String? = nil, page: UInt64? = nil,
    byteOffset: Int? = nil, expected: UInt64? = nil, found: UInt64? = nil,
    systemError: Int32? = nil
  ) {
    context = Context(
      code: code, message: message, path: path, page: page, byteOffset: byteOffset,
      expected: expected, found: found, systemError: systemError)
  }

  /// The kind of error.
  public var code: Code { context.code }
  /// What happened and, behind `"; "`, what to do about it.
  public var message: String { context.message }
  /// The file concerned, if one is.
  public var path: String? { context.path }
  /// The page concerned, if one is.
  public var page: UInt64? { context.page }
  /// Where in the file or page it happened, in bytes.
  public var byteOffset: Int? { context.byteOffset }
  /// The number that should have been there.
  public var expected: UInt64? { context.expected }
  /// The number that was there.
  public var found: UInt64? { context.found }
  /// The `errno` of the system call that failed.
  public var systemError: Int32? { context.systemError }

  /// One line: the code, what happened, where, the system's own words, and what to do.
  public var description: String {
    let (event, advice) = splitMessage()
    var line = "\(code.name): \(event)"
    var details: [String] = []
    if let path { details.append("file \"\(path)\"") }
    if let page { details.append("page \(page)") }
    if let byteOffset { details.append("byte \(byteOffset)") }
    if let expected { details.append("expected \(expected)") }
    if let found { details.append("found \(found)") }
    if let systemError {
      details.append("\(SystemCalls.text(ofError: systemError)), errno \(systemError)")
    }
    if !details.isEmpty {
      line += " (" + details.joined(separator: ", ") + ")"
    }
    if let advice { line += "; \(advice)" }
    return Self.onOneLine(line)
  }

  /// The message's two halves around the first `"; "`.
  private func splitMessage() -> (event: Substring, advice: Substring?) {
    let text = message
    var position = text.startIndex
    while let semicolon = text[position...].firstIndex(of: ";") {
      let next = text.index(after: semicolon)
      if next < text.endIndex, text[next] == " " {
        return (text[..<semicolon], text[text.index(after: next)...])
      }
      position = next
    }
    return (text[...], nil)
  }

  /// Paths may contain anything but NUL: control characters would break the line or the terminal.
  private static func onOneLine(_ text: String) -> String {
    var result = String.UnicodeScalarView()
    for scalar in text.unicodeScalars {
      let isControl = scalar.properties.generalCategory == .control
      let isLineBreak = scalar == "\u{2028}" || scalar == "\u{2029}"
      if isControl || isLineBreak {
        result.append(contentsOf: scalar.escaped(asASCII: true).unicodeScalars)
      } else {
        result.append(scalar)
      }
    }
    return String(result)
  }
}
