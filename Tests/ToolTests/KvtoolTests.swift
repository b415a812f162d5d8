import Foundation
import Testing

/// Each command of the tool, one invocation at a time.
@Suite struct KvtoolTests {
  @Test func createMakesAFileOnce() throws {
    let tool = try KvtoolFixture(creating: false)
    try tool.expect(["create", "--page-size", "8192"], status: 0, output: "")
    let info = try jsonLines(try tool.run(["info", "--json"]))
    #expect(info.first?["page_size"] as? Int == 8192)
    try tool.expectFailure(["create"], status: 3, saying: tool.path)
    try tool.expect(["len"], status: 0, output: "0\n")
  }

  @Test(arguments: ["0", "4095", "5000", "131072", "x", "-1", ""])
  func createRefusesPageSize(_ size: String) throws {
    let tool = try KvtoolFixture(creating: false)
    try tool.expectFailure(["create", "--page-size", size], status: 2, saying: "--page-size")
    #expect(!FileManager.default.fileExists(atPath: tool.path))
  }

  @Test func insertLookupRemove() throws {
    let tool = try KvtoolFixture()
    try tool.expect(["insert", "key", "one"], status: 0, output: "")
    try tool.expect(["lookup", "key"], status: 0, output: "one\n")
    try tool.expect(["insert", "key", "two"], status: 0, output: "")
    try tool.expect(["lookup", "key"], status: 0, output: "two\n")
    try tool.expect(["len"], status: 0, output: "1\n")
    try tool.expect(["remove", "key"], status: 0, output: "")
    try tool.expect(["remove", "key"], status: 1, output: "")
    try tool.expect(["lookup", "key"], status: 1, output: "")
    try tool.expect(["len"], status: 0, output: "0\n")
  }

  @Test func neighboursAndEnds() throws {
    let tool = try KvtoolFixture()
    for command in ["min", "max"] { try tool.expect([command], status: 1, output: "") }
    try tool.insert([("b", "2"), ("d", "4"), ("f", "6")])
    try tool.expect(["min"], status: 0, output: "b\t2\n")
    try tool.expect(["max"], status: 0, output: "f\t6\n")
    let expected: [(String, String, String?)] = [
      ("above", "d", "f\t6"), ("above", "c", "d\t4"), ("above", "f", nil),
      ("below", "d", "b\t2"), ("below", "e", "d\t4"), ("below", "b", nil),
      ("floor", "d", "d\t4"), ("floor", "e", "d\t4"), ("floor", "a", nil),
      ("ceiling", "d", "d\t4"), ("ceiling", "e", "f\t6"), ("ceiling", "g", nil),
    ]
    for (command, key, entry) in expected {
      try tool.expect(
        [command, key], status: entry == nil ? 1 : 0, output: entry.map { $0 + "\n" } ?? "")
    }
  }

  @Test func scanRanges() throws {
    let tool = try KvtoolFixture()
    try tool.insert([("a", "1"), ("ab", "2"), ("abc", "3"), ("b", "4"), ("0xff", "5")])
    try tool.insert([("0xffff", "6")])
    let expected: [([String], [String])] = [
      ([], ["a", "ab", "abc", "b", "X'ff'", "X'ffff'"]),
      (["--reverse"], ["X'ffff'", "X'ff'", "b", "abc", "ab", "a"]),
      (["--from", "ab"], ["ab", "abc", "b", "X'ff'", "X'ffff'"]),
      (["--to", "abc"], ["a", "ab"]),
      (["--from", "ab", "--to", "b"], ["ab", "abc"]),
      (["--from", "ab", "--to=b", "--reverse"], ["abc", "ab"]),
      (["--from", "b", "--to", "a"], []),
      (["--prefix", "ab"], ["ab", "abc"]),
      (["--prefix", "0xff"], ["X'ff'", "X'ffff'"]),
      (["--prefix", ""], ["a", "ab", "abc", "b", "X'ff'", "X'ffff'"]),
      (["--prefix", "a", "--from", "ab", "--to", "abc"], ["ab"]),
      (["--prefix", "b", "--to", "abc"], []),
      (["--limit", "2"], ["a", "ab"]),
      (["--limit", "1", "--reverse"], ["X'ffff'"]),
      (["--limit", "0"], []),
    ]
    for (options, keys) in expected {
      let output = keys.map { $0 + "\n" }.joined()
      try tool.expect(["scan", "--keys-only"] + options, status: 0, output: output)
    }
    try tool.expect(["scan", "--limit", "2"], status: 0, output: "a\t1\nab\t2\n")
  }

  @Test func infoTellsOfTheFile() throws {
    let tool = try KvtoolFixture()
    try tool.insert([("a", "1"), ("b", "2")])
    let text = try tool.run(["info"])
    #expect(text.status == 0)
    #expect(text.output.contains("\nentries "))
    let info = try #require(try jsonLines(try tool.run(["info", "--json"])).first)
    #expect(info["entry_count"] as? Int == 2)
    #expect(info["path"] as? String == tool.path)
    #expect(info["fill"] is Double)
  }

  @Test func verifyOfASoundFile() throws {
    let tool = try KvtoolFixture()
    try tool.insert([("a", "1"), ("b", "2")])
    let text = try tool.run(["verify"])
    #expect(text.status == 0, "\(text.error)")
    #expect(text.output.hasPrefix("sound: "))
    let report = try #require(try jsonLines(try tool.run(["verify", "--json"])).first)
    #expect(report["sound"] as? Bool == true)
    #expect(report["entries"] as? Int == 2)
    #expect((report["problems"] as? [String])?.isEmpty == true)
  }

  @Test func helpNeedsNoFile() throws {
    for words in [["--help"], ["-h"], ["help"], ["/nowhere/x", "help"], ["/nowhere/x", "--help"]] {
      let result = try runTool("kvtool", words)
      #expect(result.status == 0, "\(words)")
      for command in ["create", "lookup", "scan", "verify"] {
        #expect(result.output.contains("\n  \(command)"), "\(words)")
      }
    }
    for words in [
      ["help", "scan"], ["/nowhere/x", "scan", "--help"], ["/nowhere/x", "help", "scan"],
    ] {
      let result = try runTool("kvtool", words)
      #expect(result.status == 0, "\(words)")
      #expect(result.output.hasPrefix("usage: kvtool FILE scan "), "\(words)")
      #expect(result.output.contains("--keys-only"), "\(words)")
    }
    let version = try runTool("kvtool", ["--version"])
    #expect(version.status == 0 && version.output.hasPrefix("kvtool "))
  }

  @Test(arguments: [
    ["lookup"], ["lookup", "a", "b"], ["insert", "a"], ["min", "a"], ["nonsense"],
    ["lookup", "a", "--limit", "3"], ["lookup", "a", "--nonsense"], ["scan", "--from"],
    ["scan", "--limit", "-1"], ["scan", "--limit", "many"], ["scan", "--reverse=yes"],
    ["scan", "--limit", "99999999999999999999"], ["len", "--raw", "--json"],
    ["len", "--raw", "--hex"], ["len", "--durability", "perhaps"], ["len", "--cache-mib", "0"],
    ["--limit", "3"], ["help", "nonsense"],
  ])
  func badUsage(_ words: [String]) throws {
    try KvtoolFixture().expectFailure(words, status: 2)
  }

  @Test func badUsageWithoutAFile() throws {
    for words in [[], ["--json"], ["--nonsense"], ["help", "scan", "scan"]] {
      expectMessage(try runTool("kvtool", words), status: 2, arguments: words)
    }
  }

  @Test func optionsStandAnywhere() throws {
    let tool = try KvtoolFixture()
    let line = "{\"key\":\"k\",\"value\":\"v\"}\n"
    try tool.expect(
      ["--durability", "none", "insert", "k", "--cache-mib=8", "v"], status: 0, output: "")
    for words in [["--json", tool.path, "lookup", "k"], [tool.path, "lookup", "--json", "k"]] {
      #expect(try runTool("kvtool", words).output == line)
    }
    for durability in ["sync", "flush", "none"] {
      try tool.expect(["insert", "k", "v", "--durability", durability], status: 0, output: "")
    }
    try tool.expect(["insert", "--", "--json", "--"], status: 0, output: "")
    try tool.expect(["lookup", "--", "--json"], status: 0, output: "--\n")
    try tool.expect(["insert", "-5", "minus"], status: 0, output: "")
    try tool.expect(["lookup", "-5"], status: 0, output: "minus\n")
  }
}
