import Foundation

/// Runs the helper `KillWriter`, which says what it has done, and kills it with SIGKILL.
package enum KilledWriter {
  /// Lets a child run for a while and kills it.
  ///
  /// - Parameters:
  ///   - arguments: as `KillWriter` says.
  ///   - delay: how long it runs; at least until it has acknowledged something.
  ///   - context: for messages.
  /// - Returns: the numbers of the changes that it acknowledged.
  /// - Throws: when it ended by itself.
  package static func run(
    _ arguments: [String], afterMicroseconds delay: UInt32, _ context: String
  ) throws -> [UInt64] {
    let process = Process()
    process.executableURL = try Self.executable()
    process.arguments = arguments
    let output = Pipe()
    process.standardOutput = output
    let errors = Pipe()
    process.standardError = errors
    // The pipe is drained meanwhile, so that the child never waits for it.
    let collected = Collected()
    let done = DispatchSemaphore(value: 0)
    try process.run()
    let handle = output.fileHandleForReading
    DispatchQueue.global().async {
      while true {
        let piece = handle.availableData
        if piece.isEmpty { break }
        collected.append(piece)
      }
      done.signal()
    }
    usleep(delay)
    // A busy machine may not even have started it: a few of its first changes are waited for.
    let patience = ContinuousClock.now + .seconds(20)
    while collected.count < 8, process.isRunning, ContinuousClock.now < patience { usleep(1000) }
    kill(process.processIdentifier, SIGKILL)
    process.waitUntilExit()
    done.wait()
    if process.terminationReason == .exit {
      let text = String(decoding: errors.fileHandleForReading.availableData, as: UTF8.self)
      throw TestFailure("\(context): the child ended by itself: \(text)")
    }
    let data = collected.get()
    return (0..<data.count / 8).map { index in
      data[(index * 8)..<(index * 8 + 8)].reversed().reduce(0) { $0 << 8 | UInt64($1) }
    }
  }

  /// The helper beside the test bundle.
  private static func executable() throws -> URL {
    for start in [CommandLine.arguments[0], Bundle.main.executablePath ?? ""] + testBundles() {
      var folder = URL(fileURLWithPath: start).deletingLastPathComponent()
      for _ in 0..<4 {
        let file = folder.appendingPathComponent("KillWriter")
        if FileManager.default.isExecutableFile(atPath: file.path) { return file }
        folder = folder.deletingLastPathComponent()
      }
    }
    throw TestFailure("no executable KillWriter beside the test bundle; was it built?")
  }

  private static func testBundles() -> [String] {
    CommandLine.arguments.filter { $0.hasSuffix(".xctest") }
  }
}

/// Bytes handed from one thread to another.
private final class Collected: @unchecked Sendable {
  // Right because every access holds the lock.
  private let lock = NSLock()
  private var data = Data()

  func append(_ piece: Data) { lock.withLock { data.append(piece) } }
  var count: Int { lock.withLock { data.count } }
  func get() -> Data { lock.withLock { data } }
}
