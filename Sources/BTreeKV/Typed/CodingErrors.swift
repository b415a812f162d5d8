internal import Pager

extension ByteDecoder {
  /// The error for bytes that are not what they should be: `.corrupted`.
  ///
  /// - Parameter reason: what should be there, as a part of a sentence: "a flag is 0 or 1".
  @inline(never)
  public static func malformed(_ reason: String) -> DatabaseError {
    DatabaseError(
      PagerError(
        .corrupted,
        "a stored key or value is not of its type: \(reason); was it written as another type?"))
  }

  /// Throws such an error, out of the way of code that is inlined.
  @inline(never) @usableFromInline
  static func fail(_ reason: StaticString) throws(DatabaseError) -> Never {
    throw malformed("\(reason)")
  }
}

extension ByteEncoder {
  /// The error for a value, or a type, that can't be stored: `.invalidArgument`.
  ///
  /// - Parameter reason: why, as a part of a sentence: "it has a Bool".
  @inline(never)
  public static func unstorable(_ reason: String) -> DatabaseError {
    DatabaseError(PagerError(.invalidArgument, "a value can't be stored: \(reason)"))
  }
}
