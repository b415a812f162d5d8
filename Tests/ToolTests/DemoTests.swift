import Foundation
import Testing

/// The demo as its users run it: the built program, its output and its exit status.
@Suite struct DemoTests {
  private let folder: ScratchFolder
  private var path: String { folder.file("demo.btreekv") }

  init() throws { folder = try ScratchFolder() }

  private func demo(_ arguments: String...) throws -> ToolResult {
    try runTool("Demo", arguments + ["--path", path])
  }

  // MARK: - Text

  @Test func textSpeaksInTheMannerOfTheSeed() throws {
    let result = try demo(
      "--count", "20000", "--phases", "insert,lookup,ascending,descending,step,remove")
    #expect(result.status == 0, "\(result.error)")
    let rate = #"\(rate=[0-9]+ op/s\)"#
    let patterns = [
      "^file=\".*\" count=20000 page=[0-9]+ durability=flush keys=random key=8 value=8 seed=42$",
      "^create: [0-9.]+ ms$",
      "^insert: [0-9]+ ms \(rate)$",
      "^lookup: [0-9]+ ms \(rate)$",
      "^iter: min=[0-9a-f]{16} max=[0-9a-f]{16}$",
      "^iter: asc [0-9]+ ms \(rate) n=20000$",
      "^iter: desc [0-9]+ ms \(rate) n=20000$",
      "^step: [0-9]+ ms \(rate)$",
      "^remove: [0-9]+ ms \(rate)$",
      "^tree: height=[0-9]+ fill=[0-9.]+ % file=[0-9.]+ MiB n=20000$",
      "^cache: 256.0 MiB$",
      "^file: [0-9]+ bytes after closing$",
      "^memory: [0-9.]+ MiB at most$",
      "^verified: true$",
    ]
    let lines = result.output.split(separator: "\n").map(String.init)
    #expect(lines.count == patterns.count, "\(result.output)")
    for (line, pattern) in zip(lines, patterns) {
      #expect(line.range(of: pattern, options: .regularExpression) != nil, "\(line): \(pattern)")
    }
    #expect(result.error.isEmpty)
    #expect(!FileManager.default.fileExists(atPath: path))
  }

  @Test func helpListsEveryOption() throws {
    let result = try runTool("Demo", ["--help"])
    #expect(result.status == 0)
    for option in [
      "count", "path", "page-size", "durability", "cache-mib", "keys", "key-bytes", "value-bytes",
      "seed", "threads", "phases", "latency", "json", "keep", "help",
    ] {
      #expect(result.output.contains("--\(option) "), "\(option)")
    }
  }

  // MARK: - JSON

  @Test func jsonHasOneObjectALineOfTheAgreedShape() throws {
    let result = try demo("--count", "20_000", "--json")
    #expect(result.status == 0, "\(result.error)")
    let objects = try parseLines(result)
    let names = ["insert", "lookup", "ascending", "descending", "step", "remove", "summary"]
    #expect(objects.map { $0["phase"] as? String } == names)
    for object in objects.dropLast() {
      #expect(Set(object.keys) == ["phase", "operations", "seconds", "operations_per_second"])
      #expect(object["operations"] as? Int == 20000)
    }
    let summary = try #require(objects.last)
    let members: Set = ["phase", "file_bytes", "height", "fill", "peak_rss_bytes", "verified"]
    #expect(Set(summary.keys) == members)
    #expect(summary["verified"] as? Bool == true)
    // Of the loaded tree, not of the empty one that is left after the removals.
    #expect(try #require(summary["height"] as? Int) > 1)
    #expect(try #require(summary["fill"] as? Double) > 0.3)
    #expect(try #require(summary["peak_rss_bytes"] as? Int) > 1 << 20)
    #expect(try #require(summary["file_bytes"] as? Int) > 0)
  }

  @Test func latencyAddsPercentilesToEachPhase() throws {
    let result = try demo(
      "--count", "5000", "--json", "--latency", "--threads", "1,1", "--seconds", "0.2")
    #expect(result.status == 0, "\(result.error)")
    for object in try parseLines(result).dropLast() {
      let prefixes = object["phase"] as? String == "mixed" ? ["read_", "write_"] : [""]
      for prefix in prefixes {
        let values = try ["p50_ns", "p99_ns", "p999_ns", "max_ns"].map { name in
          try #require(object[prefix + name] as? Int, "\(object)")
        }
        #expect(values == values.sorted() && values[3] > 0, "\(object)")
      }
    }
  }

  @Test(arguments: ["update", "insert"]) func threadsAddAMixedPhase(writes: String) throws {
    let result = try demo(
      "--count", "20000", "--json", "--threads", "2,1", "--seconds", "0.3", "--writes", writes)
    #expect(result.status == 0, "\(result.error)")
    let objects = try parseLines(result)
    let mixed = try #require(objects.first { $0["phase"] as? String == "mixed" })
    #expect(Set(mixed.keys) == ["phase", "reads_per_second", "writes_per_second"])
    #expect(try #require(mixed["reads_per_second"] as? Int) > 0)
    #expect(try #require(mixed["writes_per_second"] as? Int) > 0)
    #expect(objects.last?["verified"] as? Bool == true)
  }

  // MARK: - The pairs

  @Test(arguments: [
    ["--key-bytes", "1", "--count", "256", "--value-bytes", "0"],
    ["--key-bytes", "3", "--value-bytes", "3"],
    ["--key-bytes", "20", "--value-bytes", "1000"],
    ["--key-bytes", "9", "--keys", "ascending"],
    ["--keys", "ascending", "--durability", "none"],
    ["--count", "1"],
    ["--count", "50", "--durability", "sync"],
    ["--count", "100", "--value-bytes", "100K", "--page-size", "8192", "--cache-mib", "8"],
  ])
  func otherPairsComeBackRight(arguments: [String]) throws {
    let result = try runTool(
      "Demo", ["--count", "3000", "--json", "--path", path] + arguments)
    #expect(result.status == 0, "\(result.error)")
    #expect(try parseLines(result).last?["verified"] as? Bool == true)
  }

  @Test func aKeptFileIsUsedAgain() throws {
    let loaded = try demo("--count", "5000", "--phases", "insert", "--keep", "--json")
    #expect(loaded.status == 0, "\(loaded.error)")
    let byteCount = try FileManager.default.attributesOfItem(atPath: path)[.size] as? Int
    #expect(try parseLines(loaded).last?["file_bytes"] as? Int == byteCount)

    let read = try demo(
      "--count", "5000", "--phases", "lookup,ascending,verify", "--keep", "--json")
    #expect(read.status == 0, "\(read.error)")
    let names = ["lookup", "ascending", "verify", "summary"]
    #expect(try parseLines(read).map { $0["phase"] as? String } == names)
  }

  // MARK: - Failures

  @Test func anotherLoadThanIsThereIsAWrongAnswer() throws {
    let loaded = try demo("--count", "2000", "--phases", "insert", "--keep")
    #expect(loaded.status == 0, "\(loaded.error)")
    for phase in ["lookup", "ascending", "descending", "step", "remove"] {
      let result = try demo(
        "--count", "2000", "--seed", "43", "--phases", phase, "--keep", "--json")
      #expect(result.status == 1, "\(phase)")
      #expect(result.error.contains("wrong answer"), "\(phase): \(result.error)")
      #expect(try parseLines(result).last?["verified"] as? Bool == false)
    }
  }

  @Test(arguments: [
    ["--bogus"], ["--count"], ["--count", "0"], ["--count", "many"], ["extra"],
    ["--phases", "insert,bogus"], ["--threads", "2"], ["--durability", "maybe"],
    ["--page-size", "5000"], ["--key-bytes", "1", "--count", "257"],
  ])
  func badUsageExitsWith2(arguments: [String]) throws {
    let result = try runTool("Demo", arguments, directory: folder.path)
    #expect(result.status == 2)
    #expect(result.error.hasPrefix("Demo: "))
    #expect(result.output.isEmpty)
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path).isEmpty)
  }

  @Test func aFileThatIsThereIsNotTouchedWithoutKeep() throws {
    try Data("precious".utf8).write(to: URL(fileURLWithPath: path))
    let result = try demo("--count", "10")
    #expect(result.status == 2)
    #expect(try Data(contentsOf: URL(fileURLWithPath: path)) == Data("precious".utf8))
  }

  @Test func phasesOfALoadedFileNeedOne() throws {
    #expect(try demo("--phases", "lookup").status == 2)
    #expect(!FileManager.default.fileExists(atPath: path))
  }

  // MARK: - Signals

  @Test(arguments: [SIGINT, SIGTERM]) func anInterruptionLeavesAWholeFile(signal: Int32) throws {
    let running = try RunningTool("Demo", ["--count", "10M", "--path", path])
    let deadline = Date(timeIntervalSinceNow: 30)
    while try !running.outputSoFar().contains("create:") && Date() < deadline {
      Thread.sleep(forTimeInterval: 0.01)
    }
    Thread.sleep(forTimeInterval: 0.3)
    running.send(signal: signal)
    let result = try running.waitForExit(timeoutSeconds: 30)
    #expect(result.status == 130)
    #expect(result.error.contains("interrupted in insert"), "\(result.error)")

    let verified = try demo("--phases", "verify", "--keep")
    #expect(verified.status == 0, "\(verified.error)")
  }

  private func parseLines(_ result: ToolResult) throws -> [[String: Any]] {
    try result.output.split(separator: "\n").map { line in
      let object = try JSONSerialization.jsonObject(with: Data(line.utf8))
      return try #require(object as? [String: Any], "\(line)")
    }
  }
}
