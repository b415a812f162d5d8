import Foundation
import Testing

/// The prompt, as it works in a pipe.
@Suite struct KvtoolPromptTests {
  @Test func commandsOneALine() throws {
    let tool = try KvtoolFixture()
    let result = try tool.prompt([
      "insert a 1", "insert b 2", "", "   ", "lookup a", "above a", "len", "remove a", "min",
      "scan --json", "len --json",
    ])
    #expect(result.status == 0, "\(result.error)")
    #expect(
      result.output == """
        1
        b\t2
        2
        b\t2
        {"key":"b","value":"2"}
        {"count":1}

        """)
    #expect(result.error == "")
    try tool.expect(["scan"], status: 0, output: "b\t2\n")
  }

  @Test func quotesAndLiterals() throws {
    let tool = try KvtoolFixture()
    let result = try tool.prompt([
      #"insert 'a b' "c 'd' ""e""""#, "insert X'00ff' X64'cafe'", "insert it's T'0x 0'",
      "insert '0x00' '-'", "insert '' \"\"", "\tinsert  x   y\t", "insert '--json' 'it''s'",
    ])
    #expect(result.status == 0, "\(result.error)")
    try tool.expect(["lookup", "a b"], status: 0, output: "c 'd' \"e\"\n")
    try tool.expect(["lookup", "0x00ff"], status: 0, output: "X'cafe'\n")
    try tool.expect(["lookup", "it's"], status: 0, output: "T'0x 0'\n")
    try tool.expect(["lookup", "T'0x00'"], status: 0, output: "-\n")
    try tool.expect(["lookup", ""], status: 0, output: "\n")
    try tool.expect(["lookup", "x"], status: 0, output: "y\n")
    try tool.expect(["lookup", "--", "--json"], status: 0, output: "it's\n")
    try tool.expect(["len"], status: 0, output: "7\n")
  }

  /// A failing line does not stop the rest; the exit status is the worst.
  @Test func theWorstStatusWins() throws {
    let cases: [([String], Int32)] = [
      (["len"], 0), (["lookup no", "len"], 1), (["bogus", "lookup no", "len"], 2),
      (["create", "bogus", "lookup no", "len"], 3), (["lookup 'open", "len"], 2),
      (["lookup 'a'b", "len"], 2), (["insert k -", "len"], 2), (["len --cache-mib 3", "len"], 2),
    ]
    for (lines, status) in cases {
      let result = try KvtoolFixture().prompt(lines)
      #expect(result.status == status, "\(lines): \(result.error)")
      #expect(result.output == "0\n", "\(lines)")
      if status >= 2 { #expect(result.error.contains("kvtool: line 1: "), "\(result.error)") }
    }
  }

  @Test func quitEndsIt() throws {
    for word in ["quit", "exit"] {
      let result = try KvtoolFixture().prompt(["len", word, "bogus"])
      #expect(result.status == 0)
      #expect(result.output == "0\n")
    }
    let tool = try KvtoolFixture()
    let unfinished = try runTool("kvtool", [tool.path], input: "insert a 1\nlen")
    #expect(unfinished.output == "1\n")
  }

  @Test func optionsOfTheToolHoldForAllLines() throws {
    let tool = try KvtoolFixture()
    let hex = try tool.prompt(["insert a b", "lookup a", "min --json"], options: ["--hex"])
    #expect(hex.output == "62\n{\"key\":{\"hex\":\"61\"},\"value\":{\"hex\":\"62\"}}\n")
    let raw = try tool.prompt(["lookup a", "lookup a --raw"], options: ["--durability", "none"])
    #expect(raw.output == "b\nb\n")
  }

  @Test func helpAtThePrompt() throws {
    let result = try KvtoolFixture().prompt(["help", "help scan", "lookup --help"])
    #expect(result.status == 0, "\(result.error)")
    #expect(result.output.contains("kvtool FILE scan "))
    #expect(result.output.contains("kvtool FILE lookup KEY\n"))
  }

  @Test func aMissingFileCanBeCreated() throws {
    let tool = try KvtoolFixture(creating: false)
    let created = try tool.prompt(["create --page-size 4096", "insert a 1", "len"])
    #expect(created.status == 0, "\(created.error)")
    #expect(created.output == "1\n")
    let missing = try KvtoolFixture(creating: false)
    #expect(try missing.prompt(["len"]).status == 3)
    #expect(try missing.prompt([]).status == 3)
  }

  @Test func manyLines() throws {
    let tool = try KvtoolFixture()
    let count = 3000
    let result = try tool.prompt(
      (0..<count).map { "insert key\($0) \($0)" } + ["len"], options: ["--durability", "flush"])
    #expect(result.output == "\(count)\n", "\(result.error)")
    let scan = try tool.run(["scan"])
    #expect(scan.output.split(separator: "\n").count == count)
  }
}
