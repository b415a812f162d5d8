import BTreeKV
import Foundation
import Regions
import Testing

/// The tool on regions.
@Suite struct KvtoolRegionTests {
  /// A file with the regions `log` (11 bytes) and `numbers` (200,000), and 1 entry beside them.
  private func fixture() throws -> KvtoolFixture {
    let tool = try KvtoolFixture()
    let database = try Database.open(tool.path)
    try database.insert("other", "0")
    try database.region("log").append("first line\n")
    try database.region("numbers").append(Self.numbers)
    try database.close()
    return tool
  }

  private static let numbers = (0..<200_000).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 8) }

  @Test func regionsAreListed() throws {
    let tool = try fixture()
    try tool.expect(["regions"], status: 0, output: "log\t11\nnumbers\t200000\n")
    let lines = try jsonLines(try tool.run(["regions", "--json"]))
    #expect(lines.map { $0["name"] as? String } == ["log", "numbers"])
    #expect(lines.map { $0["bytes"] as? Int } == [11, 200_000])
    try KvtoolFixture().expect(["regions"], status: 0, output: "")
    // Names are written as keys are.
    try tool.expect(["region", "put", "T'0x1'", "/dev/null"], status: 0, output: "")
    try tool.expect(["regions"], status: 0, output: "T'0x1'\t0\nlog\t11\nnumbers\t200000\n")
    try tool.expect(["trees"], status: 0, output: "")
  }

  @Test func catPrintsBytes() throws {
    let tool = try fixture()
    try tool.expect(["region", "cat", "log"], status: 0, output: "first line\n")
    let cases: [([String], Range<Int>)] = [
      ([], 0..<200_000), (["--from", "65535"], 65535..<200_000), (["--count", "70000"], 0..<70000),
      (["--from", "131071", "--count", "2"], 131_071..<131_073), (["--from", "200000"], 0..<0),
      (["--from", "9999999"], 0..<0), (["--from", "199999", "--count", "5"], 199_999..<200_000),
    ]
    for (options, range) in cases {
      let found = try tool.run(["region", "cat", "numbers"] + options)
      #expect(found.status == 0, "\(options): \(found.error)")
      let isEqual = found.outputBytes == Array(Self.numbers[range])
      #expect(isEqual, "\(options): \(found.outputBytes.count) bytes")
    }
    try tool.expect(["region", "cat", "log", "--hex", "--count", "2"], status: 0, output: "6669\n")
    try tool.expect(
      ["region", "cat", "log", "--json", "--from", "6", "--count", "4"], status: 0,
      output: "{\"region\":\"log\",\"from\":6,\"bytes\":\"line\"}\n")
    try tool.expect(
      ["region", "cat", "log", "--json", "--from", "9"], status: 0,
      output: "{\"region\":\"log\",\"from\":9,\"bytes\":{\"hex\":\"650a\"}}\n")
  }

  /// The file gets shorter by what was removed, and keeps the rest.
  @Test func compactShortens() throws {
    let tool = try KvtoolFixture()
    let content = [UInt8]((0..<2_000_000).map { UInt8(truncatingIfNeeded: $0 / 7) })
    let database = try Database.open(tool.path)
    try database.region("gone").append(content)
    try database.region("kept").append(content)
    try database.removeRegion("gone")
    try database.close()
    let report = try #require(try jsonLines(try tool.run(["compact", "--json"])).first)
    let (before, after) = (report["bytes_before"] as? Int, report["bytes"] as? Int)
    #expect((report["moved_values"] as? Int ?? 0) > 0 && before != nil && after != nil)
    let length = try Data(contentsOf: URL(filePath: tool.path)).count
    // Where the log was while the file was open there is room, too.
    #expect(length < content.count * 7 / 4, "\(length)")
    #expect(try tool.run(["region", "cat", "kept"]).outputBytes == content)
    let text = try tool.run(["compact"])
    #expect(text.status == 0 && text.output.split(separator: "\t").count == 2, "\(text.output)")
    #expect(try tool.run(["verify"]).status == 0)
  }

  @Test func putReplaces() throws {
    let tool = try fixture()
    let path = tool.folder.file("bytes")
    // More than is in memory at once.
    let bytes = (0..<2_500_000).map { UInt8(truncatingIfNeeded: $0 &* 7 &+ $0 >> 16) }
    try Data(bytes).write(to: URL(filePath: path))
    try tool.expect(["region", "put", "log", path], status: 0, output: "")
    #expect(try tool.run(["region", "cat", "log"]).outputBytes == bytes)
    let words = [tool.path, "region", "put", "log"]
    let piped = try runTool("kvtool", words, input: Data(bytes[..<9]))
    #expect(piped.status == 0, "\(piped.error)")
    #expect(try tool.run(["region", "cat", "log"]).outputBytes == Array(bytes[..<9]))
    let dash = try runTool(
      "kvtool", [tool.path, "region", "put", "new", "-", "--json"], input: Data("x".utf8))
    #expect(dash.output == "{\"region\":\"new\",\"from\":0,\"bytes\":1}\n", "\(dash.error)")
    try tool.expect(["region", "put", "log", "/dev/null"], status: 0, output: "")
    try tool.expect(["regions"], status: 0, output: "log\t0\nnew\t1\nnumbers\t200000\n")
    #expect(try tool.run(["verify"]).status == 0)
  }

  /// What can't be read to its end changes nothing.
  @Test func putOfAFileThatIsNotThere() throws {
    let tool = try fixture()
    for path in [tool.folder.file("nobody"), tool.folder.path] {
      try tool.expectFailure(["region", "put", "log", path], status: 3, saying: path)
    }
    try tool.expectFailure(["region", "put", "fresh", tool.folder.path], status: 3)
    try tool.expect(["regions"], status: 0, output: "log\t11\nnumbers\t200000\n")
  }

  @Test func appendAdds() throws {
    let tool = try fixture()
    try tool.expect(["region", "append", "log", "second"], status: 0, output: "")
    try tool.expect(
      ["region", "append", "log", "0x0a00", "--json"], status: 0,
      output: "{\"region\":\"log\",\"from\":17,\"bytes\":2}\n")
    let piped = try runTool(
      "kvtool", [tool.path, "region", "append", "log", "-"], input: "from a pipe")
    #expect(piped.status == 0, "\(piped.error)")
    try tool.expect(["region", "append", "log", "T'-'"], status: 0, output: "")
    try tool.expect(
      ["region", "cat", "log"], status: 0, output: "first line\nsecond\n\0from a pipe-")
    try tool.expect(["region", "append", "new", "", "--durability", "none"], status: 0, output: "")
    try tool.expect(["region", "cat", "new"], status: 0, output: "")
  }

  @Test func truncateRemoveRename() throws {
    let tool = try fixture()
    try tool.expect(["region", "truncate", "log", "5"], status: 0, output: "")
    try tool.expect(["region", "cat", "log"], status: 0, output: "first")
    try tool.expectFailure(
      ["region", "truncate", "log", "6"], status: 3, saying: "invalidArgument")
    try tool.expect(
      ["region", "truncate", "numbers", "65536", "--json"], status: 0,
      output: "{\"region\":\"numbers\",\"bytes\":65536}\n")
    try tool.expectFailure(["region", "mv", "log", "numbers"], status: 3, saying: "alreadyExists")
    try tool.expect(
      ["region", "mv", "log", "a b", "--json"], status: 0,
      output: "{\"renamed\":\"log\",\"name\":\"a b\"}\n")
    try tool.expect(["regions"], status: 0, output: "a b\t5\nnumbers\t65536\n")
    try tool.expect(["region", "rm", "a b"], status: 0, output: "")
    try tool.expect(
      ["region", "rm", "numbers", "--json"], status: 0, output: "{\"removed\":\"numbers\"}\n")
    try tool.expect(["regions"], status: 0, output: "")
    try tool.expect(["len"], status: 0, output: "1\n")
    #expect(try tool.run(["verify"]).status == 0)
  }

  @Test func statTells() throws {
    let tool = try fixture()
    let text = try tool.run(["region", "stat", "numbers"]).output
    #expect(text.contains("bytes           200000\nchunks          4\n"))
    let line = try #require(try jsonLines(tool.run(["region", "stat", "log", "--json"])).first)
    #expect(line["region"] as? String == "log")
    #expect(line["bytes"] as? Int == 11)
    #expect(line["chunks"] as? Int == 1)
    #expect(line["reserved_bytes"] as? Int == 0)
    let info = try #require(try jsonLines(tool.run(["info", "--json"])).first)
    #expect(info["region_count"] as? Int == 2)
    #expect(info["entry_count"] as? Int == 1)
  }

  @Test(arguments: [
    ["cat", "x"], ["cat", "x", "--json"], ["truncate", "x", "0"], ["rm", "x"], ["mv", "x", "y"],
    ["stat", "x"],
  ])
  func regionsThatAreNotThere(_ words: [String]) throws {
    let tool = try KvtoolFixture()
    let result = try tool.run(["region"] + words)
    #expect(result.status == 1)
    #expect(result.output == "")
    #expect(result.error == "no region named x\n")
    try tool.expect(["regions"], status: 0, output: "")
  }

  @Test(arguments: [
    ["region"], ["region", "cat"], ["region", "nonsense", "a"], ["region", "cat", "a", "b"],
    ["region", "cat", ""], ["region", "cat", "0xff"], ["region", "append", "a"],
    ["region", "append", "a", "0x1"], ["region", "truncate", "a"],
    ["region", "truncate", "a", "-1"], ["region", "truncate", "a", "many"], ["region", "mv", "a"],
    ["region", "mv", "a", ""],
    ["region", "rm", "a", "b"], ["region", "stat", "a", "--from", "1"],
    ["region", "put", "a", "b", "c"], ["region", "cat", "a", "--from", "x"],
    ["region", "put", "a", "", "--count", "1"], ["region", "put", "a", ""], ["regions", "a"],
    ["regions", "--tree", "a"], ["region", "cat", "a", "--tree", "t"],
  ])
  func badUsage(_ words: [String]) throws {
    try KvtoolFixture().expectFailure(words, status: 2)
  }

  @Test func atThePrompt() throws {
    let tool = try fixture()
    let result = try tool.prompt([
      "region append log 'second line'", "region cat log --from 6", "regions", "region rm numbers",
      "region mv log 'a b'", "region stat 'a b' --json", "region truncate 'a b' 0", "regions",
      "verify",
    ])
    #expect(result.status == 0, "\(result.error)")
    #expect(
      result.output.hasPrefix(
        """
        line
        second line
        log\t22
        numbers\t200000
        {"region":"a b","bytes":22,"chunks":1,"reserved_bytes":0}
        a b\t0
        sound: \("")
        """), "\(result.output)")
    #expect(try tool.prompt(["region put a -", "len"]).status == 2)
    #expect(try tool.prompt(["region append a -", "len"]).status == 2)
    #expect(try tool.prompt(["region cat x", "len"]).status == 1)
    try tool.expect(["regions"], status: 0, output: "a b\t0\n")
  }

  @Test func helpTellsOfRegions() throws {
    let overview = try runTool("kvtool", ["--help"]).output
    for name in ["regions", "region ACTION NAME [OPERAND]"] {
      #expect(overview.contains("\n  \(name) "), "\(name)")
    }
    let help = try runTool("kvtool", ["help", "region"]).output
    for action in ["cat", "put", "append", "truncate", "rm", "mv", "stat"] {
      #expect(help.contains("\n  \(action) NAME"), "\(action)")
    }
  }
}
