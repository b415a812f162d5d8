/// What a test found wrong; its text names the seed.
package struct TestFailure: Error, CustomStringConvertible {
  package let description: String

  /// A failure of this description.
  package init(_ description: String) { self.description = description }
}

/// Throws unless the condition holds.
///
/// Cheaper than `#expect`, and the first failure ends a history.
package func require(_ condition: Bool, _ message: @autoclosure () -> String) throws {
  if !condition { throw TestFailure(message()) }
}

/// Bytes for a message: hexadecimal digits, and no more of them than one wants to read.
package func hex(_ bytes: [UInt8]?) -> String {
  guard let bytes else { return "nil" }
  let digits = bytes.prefix(24).map { byte in
    (byte < 16 ? "0" : "") + String(byte, radix: 16)
  }.joined()
  return "X'\(digits)\(bytes.count > 24 ? "…" : "")' (\(bytes.count) bytes)"
}
