import BTreeKV
import Foundation
import Regions
import Testing

/// The tool on entry stores.
@Suite struct KvtoolEntriesTests {
  /// A file with the stores `pictures` (dog, then cat, written twice, and 200,000 bytes under 00 FF)
  /// and `words` (empty), and 1 entry of the tree without a name beside them.
  private func fixture() throws -> KvtoolFixture {
    let tool = try KvtoolFixture()
    let database = try Database.open(tool.path)
    try database.insert("other", "0")
    _ = try EntryStore(database, "words")
    let store = try EntryStore(database, "pictures")
    try store.write("cat", "black")
    try store.write("dog", "spotted\n")
    try store.write("cat", "white")
    try store.write([0, 0xFF], Self.long)
    try database.close()
    return tool
  }

  private static let long = (0..<200_000).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 8) }

  @Test func storesAreListed() throws {
    let tool = try fixture()
    try tool.expect(["entries"], status: 0, output: "pictures\t3\nwords\t0\n")
    let lines = try jsonLines(try tool.run(["entries", "--json"]))
    #expect(lines.map { $0["name"] as? String } == ["pictures", "words"])
    #expect(lines.map { $0["count"] as? Int } == [3, 0])
    try KvtoolFixture().expect(["entries"], status: 0, output: "")
    // Names are written as keys are.
    try tool.expect(["entries", "T'0x1'", "write", "k", "v"], status: 0, output: "")
    try tool.expect(["entries"], status: 0, output: "T'0x1'\t1\npictures\t3\nwords\t0\n")
    try tool.expect(["entries", "T'0x1'", "read", "k"], status: 0, output: "v")
    try tool.expect(["trees"], status: 0, output: "")
    try tool.expect(["len"], status: 0, output: "1\n")
  }

  @Test func entriesAreListedInBothOrders() throws {
    let tool = try fixture()
    let list = ["entries", "pictures", "list"]
    try tool.expect(list, status: 0, output: "X'00ff'\t200000\ncat\t5\ndog\t8\n")
    try tool.expect(
      list + ["--newest"], status: 0, output: "X'00ff'\t200000\ncat\t5\ndog\t8\n")
    // The newest one is the one that was written again.
    try tool.expect(["entries", "pictures", "write", "dog", "grey"], status: 0, output: "")
    try tool.expect(
      list + ["--newest"], status: 0, output: "dog\t4\nX'00ff'\t200000\ncat\t5\n")
    try tool.expect(list + ["--limit", "2"], status: 0, output: "X'00ff'\t200000\ncat\t5\n")
    try tool.expect(list + ["--limit", "1", "--newest"], status: 0, output: "dog\t4\n")
    try tool.expect(list + ["--limit", "0"], status: 0, output: "")
    try tool.expect(list + ["--hex", "--limit", "1"], status: 0, output: "00ff\t200000\n")
    try tool.expect(["entries", "words", "list"], status: 0, output: "")
    try tool.expect(["entries", "words", "list", "--newest"], status: 0, output: "")

    let lines = try jsonLines(try tool.run(list + ["--json"]))
    try #require(lines.count == 3)
    #expect((lines[0]["key"] as? [String: String])?["hex"] == "00ff")
    #expect(lines[1]["key"] as? String == "cat")
    #expect(lines.map { $0["bytes"] as? Int } == [200_000, 5, 4])
    #expect(lines.map { $0["sequence"] as? Int } == [4, 3, 5])
    let database = try Database.open(tool.path)
    let white = try #require(try EntryStore(database, "pictures").read("cat"))
    let checksum = try #require(lines[1]["checksum"] as? String)
    #expect(checksum.count == 16)
    #expect(UInt64(checksum, radix: 16) == white.checksum)
    try database.close()
  }

  @Test func readPrintsBytes() throws {
    let tool = try fixture()
    let read = ["entries", "pictures", "read"]
    try tool.expect(read + ["dog"], status: 0, output: "spotted\n")
    try tool.expect(read + ["cat"], status: 0, output: "white")
    let cases: [([String], Range<Int>)] = [
      ([], 0..<200_000), (["--from", "65535"], 65535..<200_000), (["--count", "70000"], 0..<70000),
      (["--from", "131071", "--count", "2"], 131_071..<131_073), (["--from", "200000"], 0..<0),
      (["--from", "9999999"], 0..<0), (["--from", "199999", "--count", "5"], 199_999..<200_000),
    ]
    for (options, range) in cases {
      let found = try tool.run(read + ["X'00ff'"] + options)
      #expect(found.status == 0, "\(options): \(found.error)")
      let isEqual = found.outputBytes == Array(Self.long[range])
      #expect(isEqual, "\(options): \(found.outputBytes.count) bytes")
    }
    try tool.expect(read + ["dog", "--hex", "--count", "2"], status: 0, output: "7370\n")
    try tool.expect(
      read + ["dog", "--json", "--from", "4", "--count", "3"], status: 0,
      output: "{\"key\":\"dog\",\"from\":4,\"bytes\":\"ted\"}\n")
    try tool.expect(
      read + ["dog", "--json", "--from", "6"], status: 0,
      output: "{\"key\":\"dog\",\"from\":6,\"bytes\":{\"hex\":\"640a\"}}\n")
  }

  /// Damage is told before any of the bytes is printed.
  @Test func readComparesChecksums() throws {
    let tool = try fixture()
    var bytes = try Data(contentsOf: URL(filePath: tool.path))
    let place = try #require(bytes.range(of: Data(Self.long[150_000..<150_100])))
    bytes[place.lowerBound] ^= 1
    try bytes.write(to: URL(filePath: tool.path))
    let read = ["entries", "pictures", "read"]
    try tool.expectFailure(
      read + ["X'00ff'", "--count", "1"], status: 3, saying: "checksum")
    try tool.expect(read + ["cat"], status: 0, output: "white")
    try tool.expectFailure(["entries", "pictures", "compact"], status: 3, saying: "checksum")
    try tool.expect(["entries", "pictures", "delete", "0x00ff"], status: 0, output: "")
    #expect(try tool.run(["entries", "pictures", "compact"]).status == 0)
    try tool.expect(["entries", "pictures", "list"], status: 0, output: "cat\t5\ndog\t8\n")
  }

  @Test func writeStores() throws {
    let tool = try fixture()
    let write = ["entries", "words", "write"]
    try tool.expect(write + ["a", "first"], status: 0, output: "")
    try tool.expect(
      write + ["0x0a00", "X'ff'", "--json"], status: 0,
      output: "{\"key\":{\"hex\":\"0a00\"},\"bytes\":1,\"new\":true}\n")
    try tool.expect(
      write + ["a", "", "--json"], status: 0, output: "{\"key\":\"a\",\"bytes\":0,\"new\":false}\n")
    try tool.expect(write + ["", "T'-'", "--durability", "none"], status: 0, output: "")
    try tool.expect(
      ["entries", "words", "list"], status: 0, output: "\t1\nX'0a00'\t1\na\t0\n")
    try tool.expect(["entries", "words", "read", ""], status: 0, output: "-")
    try tool.expect(["entries", "words", "read", "a"], status: 0, output: "")
    try tool.expectFailure(
      write + [String(repeating: "k", count: 5000), "v"], status: 3, saying: "keyTooLong")
  }

  /// More than is in memory at once goes in from a pipe and out into one.
  @Test func pipesGoInAndOut() throws {
    let tool = try fixture()
    let bytes = (0..<2_500_000).map { UInt8(truncatingIfNeeded: $0 &* 7 &+ $0 >> 16) }
    let write = [tool.path, "entries", "new", "write", "long", "-"]
    let piped = try runTool("kvtool", write + ["--json"], input: Data(bytes))
    #expect(
      piped.output == "{\"key\":\"long\",\"bytes\":2500000,\"new\":true}\n", "\(piped.error)")
    #expect(try tool.run(["entries", "new", "read", "long"]).outputBytes == bytes)
    let empty = try runTool("kvtool", write, input: Data())
    #expect(empty.status == 0, "\(empty.error)")
    try tool.expect(["entries", "new", "list"], status: 0, output: "long\t0\n")
    #expect(try tool.run(["verify"]).status == 0)
  }

  @Test func deleteTakesManyKeys() throws {
    let tool = try fixture()
    let delete = ["entries", "pictures", "delete"]
    let several = try tool.run(delete + ["cat", "cow", "X'00ff'", "--json"])
    #expect(several.status == 1)
    #expect(
      several.output == """
        {"key":"cat","removed":true}
        {"key":{"hex":"00ff"},"removed":true}

        """)
    #expect(several.error == "1 of 3 keys not found\n")
    try tool.expect(["entries", "pictures", "list"], status: 0, output: "dog\t8\n")
    let again = try tool.run(delete + ["cat"])
    #expect(again.status == 1)
    #expect(again.error == "not found\n")
    try tool.expect(delete + ["dog"], status: 0, output: "")
    try tool.expect(["entries"], status: 0, output: "pictures\t0\nwords\t0\n")
  }

  @Test func namespacesAreListedAndCleared() throws {
    let tool = try fixture()
    let words = ["entries", "words"]
    for (space, key) in [("cats", "tom"), ("cats", "kit"), ("0x00", "nil"), ("dogs", "tom")] {
      try tool.expect(
        words + ["write", key, "of \(space)", "--namespace", space], status: 0, output: "")
    }
    try tool.expect(words + ["write", "plain", "1"], status: 0, output: "")
    let list = words + ["namespaces"]
    try tool.expect(list, status: 0, output: "X'00'\t1\ncats\t2\ndogs\t1\n")
    try tool.expect(
      list + ["--json"], status: 0,
      output: """
        {"namespace":{"hex":"00"},"count":1}
        {"namespace":"cats","count":2}
        {"namespace":"dogs","count":1}

        """)
    try tool.expect(list + ["--namespace", "cats"], status: 0, output: "")
    try tool.expect(["entries", "pictures", "namespaces"], status: 0, output: "")
    let cats = ["--namespace", "cats"]
    try tool.expect(words + ["list"] + cats, status: 0, output: "kit\t7\ntom\t7\n")
    try tool.expect(words + ["read", "tom"] + cats, status: 0, output: "of cats")
    try tool.expect(words + ["delete", "tom"] + cats, status: 0, output: "")
    try tool.expect(words + ["clear"] + cats, status: 0, output: "1\n")
    try tool.expect(words + ["clear", "--json"] + cats, status: 0, output: "{\"removed\":0}\n")
    try tool.expect(list, status: 0, output: "X'00'\t1\ndogs\t1\n")
    try tool.expect(
      words + ["read", "tom", "--namespace", "dogs"], status: 0, output: "of dogs")
    try tool.expect(words + ["clear"], status: 0, output: "3\n")
    try tool.expect(["entries"], status: 0, output: "pictures\t3\nwords\t0\n")
    #expect(try tool.run(["verify"]).status == 0)
  }

  @Test func statsAndCompact() throws {
    let tool = try fixture()
    func stats() throws -> [String: Int] {
      let line = try #require(
        try jsonLines(tool.run(["entries", "pictures", "stats", "--json"])).first)
      #expect(line["store"] as? String == "pictures")
      return line.compactMapValues { $0 as? Int }
    }
    let before = try stats()
    #expect(before["count"] == 3)
    let (total, dead) = (try #require(before["bytes"]), try #require(before["dead_bytes"]))
    // "black" and what belongs to it; others are counted in blocks of 64 bytes.
    #expect(dead > 0 && dead <= 128, "\(dead)")
    #expect(before["live_bytes"] == total - dead)
    try tool.expect(
      ["entries", "pictures", "stats"], status: 0,
      output: """
        store       pictures
        entries     3
        bytes       \(total)
        live bytes  \(total - dead)
        dead bytes  \(dead)

        """)
    try tool.expect(["entries", "pictures", "delete", "0x00ff"], status: 0, output: "")
    let deleted = try stats()
    #expect(deleted["count"] == 2)
    #expect(try #require(deleted["dead_bytes"]) > 200_000)
    let estimate = try #require(
      try jsonLines(tool.run(["entries", "pictures", "compact", "--dry-run", "--json"])).first)
    #expect(estimate["estimated_bytes"] as? Int == deleted["dead_bytes"])
    #expect(try stats() == deleted)
    let printed = try tool.run(["entries", "pictures", "compact"]).output
    let saved = try #require(Int(printed.dropLast()), "\(printed)")
    #expect(saved > 200_000)
    #expect(try stats()["bytes"] == (try #require(deleted["bytes"])) - saved)
    try tool.expect(
      ["entries", "pictures", "compact", "--json"], status: 0, output: "{\"saved_bytes\":0}\n")
    try tool.expect(["entries", "pictures", "list"], status: 0, output: "cat\t5\ndog\t8\n")
    #expect(try tool.run(["verify"]).status == 0)
  }

  @Test(arguments: [
    ["list"], ["list", "--json"], ["read", "k"], ["delete", "k"], ["clear"],
    ["namespaces"], ["stats"], ["compact"],
    ["compact", "--dry-run"],
  ])
  func storesThatAreNotThere(_ words: [String]) throws {
    let tool = try KvtoolFixture()
    let result = try tool.run(["entries", "x"] + words)
    #expect(result.status == 1)
    #expect(result.output == "")
    #expect(result.error == "no entry store named x\n")
    try tool.expect(["entries"], status: 0, output: "")
  }

  @Test func keysThatAreNotThere() throws {
    let result = try fixture().run(["entries", "pictures", "read", "cow"])
    #expect(result.status == 1)
    #expect(result.output == "")
    #expect(result.error == "not found\n")
  }

  @Test(arguments: [
    ["entries", "a"], ["entries", "a", "nonsense"], ["entries", "", "list"],
    ["entries", "0xff", "list"], ["entries", "a", "list", "b"], ["entries", "a", "read"],
    ["entries", "a", "read", "b", "c"], ["entries", "a", "read", "0x1"],
    ["entries", "a", "write", "b"], ["entries", "a", "write"],
    ["entries", "a", "write", "b", "c", "d"], ["entries", "a", "write", "b", "0x1"],
    ["entries", "a", "delete"], ["entries", "a", "delete", "b", "0x1"],
    ["entries", "a", "stats", "b"], ["entries", "a", "compact", "b"],
    ["entries", "a", "list", "--limit", "x"], ["entries", "a", "read", "b", "--from", "x"],
    ["entries", "a", "read", "b", "--newest"], ["entries", "a", "stats", "--dry-run"],
    ["entries", "--limit", "1"], ["entries", "a", "list", "--from", "1"],
    ["entries", "--namespace", "n"], ["entries", "a", "stats", "--namespace", "n"],
    ["entries", "a", "compact", "--namespace", "n"], ["entries", "a", "clear", "b"],
    ["entries", "a", "list", "--namespace", "0x1"],
    ["entries", "--tree", "t"], ["entries", "a", "list", "--tree", "t"],
  ])
  func badUsage(_ words: [String]) throws {
    try KvtoolFixture().expectFailure(words, status: 2)
  }

  @Test func atThePrompt() throws {
    let tool = try fixture()
    let result = try tool.prompt([
      "entries words write k 'two words'", "entries words read k", "entries words list",
      "entries", "entries pictures delete cat dog X'00ff'", "entries pictures list",
      "entries words read k --from 4 --json", "verify",
    ])
    #expect(result.status == 0, "\(result.error)")
    #expect(
      result.output.hasPrefix(
        """
        two words
        k\t9
        pictures\t3
        words\t1
        {"key":"k","from":4,"bytes":"words"}
        sound: \("")
        """), "\(result.output)")
    #expect(try tool.prompt(["entries words write a -", "len"]).status == 2)
    #expect(try tool.prompt(["entries words read cow", "len"]).status == 1)
    try tool.expect(["entries"], status: 0, output: "pictures\t0\nwords\t1\n")
  }

  @Test func helpTellsOfEntries() throws {
    let overview = try runTool("kvtool", ["--help"]).output
    #expect(overview.contains("\n  entries [NAME] [ACTION] [OPERAND…] "))
    let help = try runTool("kvtool", ["help", "entries"]).output
    for action in ["list", "read", "write", "delete", "clear", "namespaces", "stats", "compact"] {
      #expect(help.contains("\n  NAME \(action)"), "\(action)")
    }
  }
}
