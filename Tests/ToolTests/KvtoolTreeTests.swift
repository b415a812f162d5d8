import BTreeKV
import Foundation
import Testing

/// The tool on named trees.
@Suite struct KvtoolTreeTests {
  /// A file with the trees `fruit` (5 entries) and `ids` (typed), and 1 entry outside of them.
  private func fixture() throws -> KvtoolFixture {
    let tool = try KvtoolFixture()
    let database = try Database.open(tool.path)
    try database.insert("other", "0")
    let names = ["apple", "apricot", "banana", "cherry", "date"]
    try database.tree("fruit").insert(contentsOf: names.map { ($0, String($0.count)) })
    try database.tree("ids", of: UInt64.self, String.self).insert(7, "Ada")
    try database.close()
    return tool
  }

  @Test func treesAreListed() throws {
    let tool = try fixture()
    try tool.expect(["trees"], status: 0, output: "fruit\t5\nids\t1\tu64→text\n")
    let lines = try jsonLines(try tool.run(["trees", "--json"]))
    #expect(lines.map { $0["name"] as? String } == ["fruit", "ids"])
    #expect(lines.map { $0["count"] as? Int } == [5, 1])
    #expect(lines.map { $0["codings"] as? String } == [nil, "u64→text"])
    try KvtoolFixture().expect(["trees"], status: 0, output: "")
  }

  @Test func entriesOfATree() throws {
    let tool = try fixture()
    let expected: [([String], Int32, String)] = [
      (["len"], 0, "5\n"), (["lookup", "apple"], 0, "5\n"), (["lookup", "other"], 1, ""),
      (["min"], 0, "apple\t5\n"), (["max"], 0, "date\t4\n"), (["above", "b"], 0, "banana\t6\n"),
      (["below", "b"], 0, "apricot\t7\n"), (["floor", "d"], 0, "cherry\t6\n"),
      (["ceiling", "d"], 0, "date\t4\n"), (["ceiling", "e"], 1, ""),
      (["scan", "--prefix", "ap"], 0, "apple\t5\napricot\t7\n"), (["count"], 0, "5\n"),
      (["count", "--from", "b", "--to", "d"], 0, "2\n"), (["count", "--prefix", "ap"], 0, "2\n"),
      (["count", "--from", "d", "--to", "b"], 0, "0\n"), (["count", "--estimate"], 0, "5\n"),
      (["count", "--json"], 0, "{\"count\":5}\n"), (["remove", "date"], 0, ""),
      (["remove", "date"], 1, ""), (["insert", "date", "d"], 0, ""),
      (["lookup", "date"], 0, "d\n"),
    ]
    for (words, status, output) in expected {
      try tool.expect(words + ["--tree", "fruit"], status: status, output: output)
    }
    try tool.expect(["len"], status: 0, output: "1\n")
    try tool.expect(["count"], status: 0, output: "1\n")
    try tool.expect(["insert", "a", "1", "--tree", "new"], status: 0, output: "")
    try tool.expect(["len", "--tree", "X'6e6577'"], status: 0, output: "1\n")
  }

  @Test func infoOfATree() throws {
    let tool = try fixture()
    let info = try #require(try jsonLines(tool.run(["info", "--tree", "ids", "--json"])).first)
    #expect(info["tree"] as? String == "ids")
    #expect(info["codings"] as? String == "u64→text")
    #expect(info["entry_count"] as? Int == 1)
    #expect(info["height"] as? Int == 1)
    #expect(
      try tool.run(["info", "--tree", "fruit"]).output.contains("entries                5\n"))
    let all = try #require(try jsonLines(tool.run(["info", "--json"])).first)
    #expect(all["tree_count"] as? Int == 2)
    #expect(all["entry_count"] as? Int == 1)
  }

  @Test func rangesAreRemoved() throws {
    let tool = try fixture()
    try tool.expectFailure(["remove-range", "--tree", "fruit"], status: 2, saying: "--all")
    try tool.expectFailure(["remove-range", "--all", "--from", "b"], status: 2, saying: "--all")
    try tool.expect(
      ["remove-range", "--tree", "fruit", "--prefix", "ap"], status: 0, output: "2\n")
    try tool.expect(
      ["scan", "--keys-only", "--tree", "fruit"], status: 0, output: "banana\ncherry\ndate\n")
    try tool.expect(
      ["remove-range", "--tree", "fruit", "--from", "x", "--json"], status: 0,
      output: "{\"removed\":0}\n")
    try tool.expect(["remove-range", "--tree", "fruit", "--all"], status: 0, output: "3\n")
    try tool.expect(["len"], status: 0, output: "1\n")
  }

  @Test func treesAreRenamedAndDropped() throws {
    let tool = try fixture()
    try tool.expect(["rename-tree", "fruit", "fruits"], status: 0, output: "")
    try tool.expect(["rename-tree", "fruit", "x"], status: 1, output: "")
    try tool.expectFailure(["rename-tree", "fruits", "ids"], status: 3, saying: "ids")
    try tool.expect(
      ["rename-tree", "fruits", "a b", "--json"], status: 0,
      output: "{\"renamed\":\"fruits\",\"name\":\"a b\"}\n")
    try tool.expect(["drop-tree", "a b"], status: 0, output: "")
    try tool.expect(["drop-tree", "a b"], status: 1, output: "")
    try tool.expect(["drop-tree", "ids", "--json"], status: 0, output: "{\"dropped\":\"ids\"}\n")
    try tool.expect(["trees"], status: 0, output: "")
    try tool.expect(["len"], status: 0, output: "1\n")
    #expect(try tool.run(["verify"]).status == 0)
  }

  @Test(arguments: [
    ["lookup", "a"], ["remove", "a"], ["above", "a"], ["below", "a"], ["floor", "a"],
    ["ceiling", "a"], ["min"], ["max"], ["len"], ["count"], ["scan"], ["info"],
    ["remove-range", "--all"],
  ])
  func treesThatAreNotThere(_ words: [String]) throws {
    let tool = try KvtoolFixture()
    let result = try tool.run(words + ["--tree", "nobody"])
    #expect(result.status == 1)
    #expect(result.output == "")
    #expect(result.error == "no tree named nobody\n")
    try tool.expect(["trees"], status: 0, output: "")
  }

  @Test(arguments: [
    ["drop-tree"], ["drop-tree", ""], ["drop-tree", "a", "b"], ["rename-tree", "a"],
    ["rename-tree", "a", ""], ["drop-tree", "0xff"], ["len", "--tree"], ["len", "--tree", "0xff"],
    ["verify", "--tree", "a"], ["create", "--tree", "a"], ["trees", "--tree", "a"],
    ["count", "--estimate=yes"], ["len", "--estimate"], ["count", "--limit", "3"],
  ])
  func badUsage(_ words: [String]) throws {
    try KvtoolFixture().expectFailure(words, status: 2)
  }

  @Test func thePromptsTree() throws {
    let tool = try fixture()
    let lines = [
      "len", "len --tree ids", "len --tree ''", "remove-range --to b", "trees", "verify",
    ]
    let result = try tool.prompt(lines, options: ["--tree", "fruit"])
    #expect(result.status == 0, "\(result.error)")
    #expect(result.output.hasPrefix("5\n1\n1\n2\nfruit\t3\nids\t1\tu64→text\nsound: "))
    let other = try tool.prompt(["insert k v --tree 'a b'", "trees", "drop-tree 'a b'", "count"])
    #expect(other.output == "a b\t1\nfruit\t3\nids\t1\tu64→text\n1\n", "\(other.error)")
  }

  @Test func helpTellsOfTrees() throws {
    let overview = try runTool("kvtool", ["--help"]).output
    for name in ["trees", "drop-tree NAME", "rename-tree NAME NEW-NAME", "remove-range", "count"] {
      #expect(overview.contains("\n  \(name) "), "\(name)")
    }
    #expect(try runTool("kvtool", ["help", "len"]).output.contains("--tree NAME"))
    #expect(try !runTool("kvtool", ["help", "verify"]).output.contains("--tree"))
  }
}
