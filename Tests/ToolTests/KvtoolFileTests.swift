import BTreeKV
import Foundation
import Testing

/// Files that are missing, wrong or in use, and readers that go away.
@Suite struct KvtoolFileTests {
  static let commands = [
    ["lookup", "a"], ["insert", "a", "1"], ["remove", "a"], ["above", "a"], ["below", "a"],
    ["floor", "a"], ["ceiling", "a"], ["min"], ["max"], ["len"], ["scan"], ["info"], ["verify"],
    ["compact"], ["backup", "/no/where"],
    ["count"], ["remove-range", "--all"], ["trees"], ["drop-tree", "t"], ["rename-tree", "t", "u"],
    ["regions"], ["region", "cat", "r"], ["region", "put", "r", "/dev/null"],
    ["region", "append", "r", "1"], ["region", "truncate", "r", "0"], ["region", "rm", "r"],
    ["region", "mv", "r", "s"], ["region", "stat", "r"],
    ["lookup", "a", "--tree", "t"], ["insert", "a", "1", "--tree", "t"], [],
  ]

  @Test(arguments: commands) func missingFile(_ words: [String]) throws {
    let tool = try KvtoolFixture(creating: false)
    try tool.expectFailure(words, status: 3, saying: "create")
    #expect(!FileManager.default.fileExists(atPath: tool.path))
  }

  @Test(arguments: commands) func filesThatAreNoDatabase(_ words: [String]) throws {
    let contents = [
      Data(), Data("garbage".utf8), Data(repeating: 0, count: 65536),
      Data((0..<100_000).map { UInt8(truncatingIfNeeded: $0 &* 2_654_435_761 >> 13) }),
    ]
    for content in contents {
      let tool = try KvtoolFixture(creating: false)
      try content.write(to: URL(fileURLWithPath: tool.path))
      try tool.expectFailure(words, status: 3, saying: tool.path)
      #expect(try Data(contentsOf: URL(fileURLWithPath: tool.path)) == content)
    }
  }

  @Test(arguments: commands + [["create"]]) func directory(_ words: [String]) throws {
    let folder = try ScratchFolder()
    expectMessage(
      try runTool("kvtool", [folder.path] + words), status: 3, saying: folder.path,
      arguments: words)
  }

  @Test func createInAMissingFolder() throws {
    let words = ["/nowhere/at/all.db", "create"]
    let result = try runTool("kvtool", words)
    expectMessage(result, status: 3, saying: "/nowhere/at/all.db", arguments: words)
    #expect(!result.error.contains("kvtool FILE create"))
  }

  @Test(.enabled(if: geteuid() != 0, "root may read everything"))
  func noPermission() throws {
    let tool = try KvtoolFixture()
    try setPermissions(0o000, of: tool.path)
    for words in Self.commands { try tool.expectFailure(words, status: 3, saying: tool.path) }
  }

  @Test(.enabled(if: geteuid() != 0, "root may write everything"))
  func readOnlyFile() throws {
    let tool = try KvtoolFixture()
    try tool.insert([("a", "1")])
    try setPermissions(0o444, of: tool.path)
    try tool.expect(["lookup", "a"], status: 0, output: "1\n")
    try tool.expectFailure(["insert", "b", "2"], status: 3, saying: tool.path)
    let prompt = try tool.prompt(["lookup a", "insert b 2", "len"])
    #expect(prompt.status == 3)
    #expect(prompt.output == "1\n1\n")
  }

  @Test func fileInUseByAnotherProcess() throws {
    let tool = try KvtoolFixture()
    let database = try Database.open(tool.path)
    for words in Self.commands { try tool.expectFailure(words, status: 3, saying: tool.path) }
    try database.close()
    try tool.expect(["len"], status: 0, output: "0\n")
  }

  /// A copy of an open file is what a crash leaves; reading it has to recover it first.
  @Test(arguments: [["lookup", "a"], ["len"], ["verify"], ["info"], ["scan"]])
  func fileThatWasNotClosed(_ words: [String]) throws {
    let tool = try KvtoolFixture()
    let database = try Database.open(tool.path)
    try database.insert("a", "1", durability: .sync)
    let copy = tool.folder.file("copy.db")
    try FileManager.default.copyItem(atPath: tool.path, toPath: copy)
    try database.close()
    let result = try runTool("kvtool", [copy] + words)
    #expect(result.status == 0, "\(result.error)")
    #expect(try runTool("kvtool", [copy, "lookup", "a"]).output == "1\n")
  }

  @Test func keyThatIsTooLong() throws {
    let tool = try KvtoolFixture()
    let key = String(repeating: "k", count: 100_000)
    try tool.expectFailure(["insert", key, "1"], status: 3, saying: tool.path)
    try tool.expect(["lookup", "k"], status: 1, output: "")
  }

  @Test func fileNamesCannotSteerTheTerminal() throws {
    let folder = try ScratchFolder()
    let words = [folder.file("a\u{1b}[2J\nb"), "len"]
    let result = try runTool("kvtool", words)
    expectMessage(result, status: 3, arguments: words)
    #expect(!result.error.contains("\u{1b}"))
  }

  @Test func aReaderThatGoesAwayIsNoError() throws {
    let tool = try filledFixture()
    let (status, output, error) = try shell(
      "\"$0\" \"$1\" scan | head -n 1; echo ${PIPESTATUS[0]}", tool)
    #expect(status == 0)
    #expect(output == "key100000\tvalue100000\n0\n")
    #expect(error == "")
    try tool.expect(["len"], status: 0, output: "4000\n")
  }

  @Test func vectorsGoThroughPipes() throws {
    let tool = try KvtoolFixture()
    let lines = "printf 'n\\n' > \"$1.csv\"; seq 1 200000 >> \"$1.csv\"; "
    let (status, output, error) = try shell(
      lines + "\"$0\" \"$1\" vector n import --type u32 <\"$1.csv\"; "
        + "\"$0\" \"$1\" vector n export | cmp - \"$1.csv\"; "
        + "\"$0\" \"$1\" vector n export --format npy | tail -c 4 | od -An -tu4 | tr -d ' '; "
        + "\"$0\" \"$1\" vector n export | head -n 2; echo ${PIPESTATUS[0]}", tool)
    #expect(status == 0)
    #expect(output == "200000\nn\n1\n0\n")
    #expect(error == "")
  }

  @Test(.enabled(if: FileManager.default.fileExists(atPath: "/dev/full")))
  func outputThatCannotBeWritten() throws {
    let tool = try filledFixture()
    for command in ["scan", "len", "info", "help"] {
      let (status, _, error) = try shell("\"$0\" \"$1\" \(command) > /dev/full", tool)
      #expect(status == 3, "\(command)")
      #expect(error.hasPrefix("kvtool: standard output: "), "\(command)")
    }
  }

  /// Enough entries that a pipe does not hold them all.
  private func filledFixture() throws -> KvtoolFixture {
    let tool = try KvtoolFixture()
    let lines = (100_000..<104_000).map { "insert key\($0) value\($0)" }
    let result = try tool.prompt(lines, options: ["--durability", "none"])
    #expect(result.status == 0, "\(result.error)")
    return tool
  }

  private func setPermissions(_ mode: Int, of path: String) throws {
    try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: path)
  }

  /// Runs a line of bash with the tool as `$0` and the fixture's file as `$1`.
  private func shell(
    _ line: String, _ fixture: KvtoolFixture
  ) throws -> (status: Int32, output: String, error: String) {
    let process = Process()
    let output = Pipe()
    let error = Pipe()
    process.executableURL = URL(fileURLWithPath: "/bin/bash")
    process.arguments = ["-c", line, try kvtoolPath(), fixture.path]
    process.standardOutput = output
    process.standardError = error
    try process.run()
    let outputText = String(
      decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    let errorText = String(
      decoding: error.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    process.waitUntilExit()
    return (process.terminationStatus, outputText, errorText)
  }
}
