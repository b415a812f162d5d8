/// An error of the Pcodec codec: what is wrong with the data or the call, and where.
///
/// The whole content lives in one immutable object, so that the value is a single pointer and
/// functions that never fail pay nothing for it.
public struct PcoError: Error, Sendable, CustomStringConvertible {
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

    /// The data contradicts the format or itself.
    public static let corrupted = Code(name: "corrupted")
    /// The data ends before all that it promises.
    public static let truncated = Code(name: "truncated")
    /// The data is of a version of the format that this release does not know.
    public static let unsupportedVersion = Code(name: "unsupportedVersion")
    /// The data holds numbers of another type than was asked for.
    public static let typeMismatch = Code(name: "typeMismatch")
    /// The data holds more numbers than the caller has room for.
    public static let tooManyValues = Code(name: "tooManyValues")
    /// An argument is outside what the call accepts.
    public static let invalidArgument = Code(name: "invalidArgument")
  }

  private final class Context: Sendable {
    let code: Code
    let message: String
    let byteOffset: Int?

    init(code: Code, message: String, byteOffset: Int?) {
      self.code = code
      self.message = message
      self.byteOffset = byteOffset
    }
  }

  private let context: Context

  /// Makes an error.
  ///
  /// - Parameters:
  ///   - code: The kind of error.
  ///   - message: What happened.
  ///   - byteOffset: Where in the compressed bytes it was noticed.
  @inline(never)
  public init(_ code: Code, _ message: String, byteOffset: Int? = nil) {
    context = Context(code: code, message: message, byteOffset: byteOffset)
  }

  /// The kind of error.
  public var code: Code { context.code }
  /// What happened.
  public var message: String { context.message }
  /// Where in the compressed bytes it was noticed, if that is known.
  public var byteOffset: Int? { context.byteOffset }

  /// One line with the code, the message and the place.
  public var description: String {
    let place = byteOffset.map { " (at byte \($0))" } ?? ""
    return "\(code): \(message)\(place)"
  }
}
