import Foundation

/// What a finished tool left: its exit status and everything that it wrote.
struct ToolResult {
  /// The exit status, or minus the signal's number if a signal ended the process.
  var status: Int32
  /// Standard output, as text.
  var output: String
  /// Standard error, as text.
  var error: String
  /// Standard output, byte for byte.
  var outputBytes: [UInt8]
}

struct ToolNotFound: Error, CustomStringConvertible {
  var name: String
  var description: String { "no executable \(name) beside the test bundle; was it built?" }
}

/// Runs one of the package's executables to its end.
///
/// - Parameters:
///   - name: The product's name, such as `kvtool`.
///   - arguments: What follows the name on its command line.
///   - input: Text for its standard input, which is empty otherwise.
///   - directory: Its working directory; nil keeps the test's own.
/// - Returns: What it left.
/// - Throws: If it isn't built or can't be started.
func runTool(
  _ name: String, _ arguments: [String], input: String? = nil, directory: String? = nil
) throws -> ToolResult {
  try runTool(name, arguments, input: Data((input ?? "").utf8), directory: directory)
}

/// Runs one of the package's executables to its end, giving it bytes on standard input.
func runTool(
  _ name: String, _ arguments: [String], input: Data, directory: String? = nil
) throws -> ToolResult {
  let tool = try RunningTool(name, arguments, input: input, directory: directory)
  return try tool.waitForExit()
}

/// A tool that has been started and is not waited for yet, so that a test can send it signals.
final class RunningTool {
  private let process = Process()
  // Output goes to files rather than pipes: nobody needs to drain them while the tool runs.
  private let scratch: URL

  init(_ name: String, _ arguments: [String], input: Data = Data(), directory: String? = nil) throws
  {
    let executable = try locateTool(name)
    scratch = FileManager.default.temporaryDirectory
      .appendingPathComponent("tool-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: scratch, withIntermediateDirectories: true)
    for stream in ["in", "out", "err"] {
      let data = stream == "in" ? input : Data()
      try data.write(to: scratch.appendingPathComponent(stream))
    }
    process.executableURL = executable
    process.arguments = arguments
    if let directory { process.currentDirectoryURL = URL(fileURLWithPath: directory) }
    process.standardInput = try FileHandle(forReadingFrom: scratch.appendingPathComponent("in"))
    process.standardOutput = try FileHandle(forWritingTo: scratch.appendingPathComponent("out"))
    process.standardError = try FileHandle(forWritingTo: scratch.appendingPathComponent("err"))
    try process.run()
  }

  deinit {
    if process.isRunning { send(signal: SIGKILL) }
    try? FileManager.default.removeItem(at: scratch)
  }

  /// Sends a signal, such as `SIGINT`, to this process only.
  func send(signal number: Int32) {
    kill(process.processIdentifier, number)
  }

  /// What the tool has written to standard output so far.
  func outputSoFar() throws -> String {
    String(decoding: try Data(contentsOf: scratch.appendingPathComponent("out")), as: UTF8.self)
  }

  /// Waits for the tool to end, and ends it (status -9) if that takes too long.
  func waitForExit(timeoutSeconds: Double = 300) throws -> ToolResult {
    let deadline = Date(timeIntervalSinceNow: timeoutSeconds)
    while process.isRunning && Date() < deadline { Thread.sleep(forTimeInterval: 0.002) }
    if process.isRunning { send(signal: SIGKILL) }
    process.waitUntilExit()
    let output = try Data(contentsOf: scratch.appendingPathComponent("out"))
    let error = try Data(contentsOf: scratch.appendingPathComponent("err"))
    let signalled = process.terminationReason == .uncaughtSignal
    return ToolResult(
      status: signalled ? -process.terminationStatus : process.terminationStatus,
      output: String(decoding: output, as: UTF8.self),
      error: String(decoding: error, as: UTF8.self),
      outputBytes: [UInt8](output))
  }
}

/// The executables of a package are built beside its test bundle.
func locateTool(_ name: String) throws -> URL {
  var starts = [Bundle.main.bundlePath, CommandLine.arguments[0]]
  starts += CommandLine.arguments.filter { $0.hasSuffix(".xctest") }
  if let path = try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe") {
    starts.append(path)
  }
  for start in starts {
    var folder = URL(fileURLWithPath: start)
    for _ in 0..<5 {
      let candidate = folder.appendingPathComponent(name)
      var isFolder: ObjCBool = false
      let exists = FileManager.default.fileExists(atPath: candidate.path, isDirectory: &isFolder)
      if exists, !isFolder.boolValue, FileManager.default.isExecutableFile(atPath: candidate.path) {
        return candidate
      }
      folder.deleteLastPathComponent()
    }
  }
  throw ToolNotFound(name: name)
}

/// A folder of a test's own, removed when the test lets go of it.
final class ScratchFolder {
  let path: String

  init() throws {
    let folder = FileManager.default.temporaryDirectory
      .appendingPathComponent("btreekv-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    path = folder.path
  }

  deinit { try? FileManager.default.removeItem(atPath: path) }

  func file(_ name: String) -> String { path + "/" + name }
}
