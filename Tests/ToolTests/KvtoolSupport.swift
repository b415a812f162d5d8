import Foundation
import Testing

/// A database file of a test's own and the tool to use it with.
struct KvtoolFixture {
  let folder: ScratchFolder
  let path: String

  /// Names a file; makes the database unless told not to.
  init(creating: Bool = true) throws {
    folder = try ScratchFolder()
    path = folder.file("test.db")
    if creating { try expect(["create"], status: 0, output: "") }
  }

  func run(_ arguments: [String]) throws -> ToolResult {
    try runTool("kvtool", [path] + arguments)
  }

  /// Feeds lines to the prompt.
  func prompt(_ lines: [String], options: [String] = []) throws -> ToolResult {
    let text = lines.map { $0 + "\n" }.joined()
    return try runTool("kvtool", [path] + options, input: text)
  }

  func insert(_ pairs: [(String, String)]) throws {
    for (key, value) in pairs { try expect(["insert", key, value], status: 0, output: "") }
  }

  /// Runs one command and compares all of what it wrote to standard output.
  func expect(
    _ arguments: [String], status: Int32, output: String,
    at location: SourceLocation = #_sourceLocation
  ) throws {
    let result = try run(arguments)
    #expect(
      result.status == status, "\(arguments): \(result.error)", sourceLocation: location)
    #expect(result.output == output, "\(arguments)", sourceLocation: location)
  }

  /// Runs one command that is to fail: nothing on standard output, and a message.
  func expectFailure(
    _ arguments: [String], status: Int32, saying part: String = "",
    at location: SourceLocation = #_sourceLocation
  ) throws {
    let result = try run(arguments)
    expectMessage(
      result, status: status, saying: part, arguments: arguments, at: location)
  }
}

/// Checks that a tool failed as promised: with one line for the database's errors, and with a
/// second one, a hint, for bad usage.
func expectMessage(
  _ result: ToolResult, status: Int32, saying part: String = "", arguments: [String],
  at location: SourceLocation = #_sourceLocation
) {
  #expect(
    result.status == status, "\(arguments): \(result.error)", sourceLocation: location)
  #expect(result.output == "", "\(arguments)", sourceLocation: location)
  #expect(
    result.error.hasPrefix("kvtool: "), "\(arguments): \(result.error)", sourceLocation: location)
  let lineCount = result.error.split(separator: "\n").count
  #expect(
    lineCount == (status == 2 ? 2 : 1), "\(arguments): \(result.error)", sourceLocation: location)
  if !part.isEmpty {
    #expect(
      result.error.contains(part), "\(arguments): \(result.error)", sourceLocation: location)
  }
}

/// The objects of an output of one JSON object a line; fails the test where one is not valid.
func jsonLines(_ result: ToolResult) throws -> [[String: Any]] {
  try result.output.split(separator: "\n").map { line in
    let object = try JSONSerialization.jsonObject(with: Data(line.utf8))
    return try #require(object as? [String: Any], "not an object: \(line)")
  }
}

/// The tool's executable, for tests that need a shell around it: it is beside the test bundle.
func kvtoolPath() throws -> String {
  var starts = [CommandLine.arguments[0], Bundle.main.bundlePath]
  starts += CommandLine.arguments.filter { $0.hasSuffix(".xctest") }
  let candidates =
    starts.map {
      URL(fileURLWithPath: $0).deletingLastPathComponent().appendingPathComponent("kvtool").path
    } + starts.map { $0 + "/kvtool" }
  return try #require(
    candidates.first { FileManager.default.isExecutableFile(atPath: $0) }, "none of \(candidates)")
}
