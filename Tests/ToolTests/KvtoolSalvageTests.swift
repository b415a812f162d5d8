import BTreeKV
import Foundation
import Testing

/// The tool's way out of a damaged file.
@Suite struct KvtoolSalvageTests {
  private func fixture() throws -> KvtoolFixture {
    let tool = try KvtoolFixture()
    let database = try Database.open(tool.path)
    try database.insert("other", "0")
    try database.tree("fruit").insert(contentsOf: (0..<500).map { ("fruit \($0)", "red") })
    try database.close()
    return tool
  }

  /// Overwrites some bytes of the file.
  private func damage(_ tool: KvtoolFixture, _ range: Range<Int>) throws {
    var bytes = try Data(contentsOf: URL(filePath: tool.path))
    bytes.replaceSubrange(range, with: Data(repeating: 0xAA, count: range.count))
    try bytes.write(to: URL(filePath: tool.path))
  }

  @Test func wholeFile() throws {
    let tool = try fixture()
    let new = tool.folder.file("new.db")
    try tool.expect(
      ["salvage", new], status: 0,
      output: "salvaged: 501 entries, 1 named trees, 0 regions, "
        + "0 entry stores with 0 entries\n")
    #expect(try runTool("kvtool", [new, "trees"]).output == "fruit\t500\n")
    #expect(try runTool("kvtool", [new, "lookup", "other"]).output == "0\n")
    try tool.expectFailure(["salvage", new], status: 3, saying: "alreadyExists")
    let line = try #require(
      try jsonLines(tool.run(["salvage", tool.folder.file("b.db"), "--json"])).first)
    #expect(line["complete"] as? Bool == true)
    #expect(line["entries"] as? Int == 501)
  }

  @Test func backup() throws {
    let tool = try fixture()
    let new = tool.folder.file("new.db")
    let text = try tool.run(["backup", new])
    #expect(text.status == 0 && text.output.hasPrefix("copied: 501 entries, "), "\(text)")
    #expect(try runTool("kvtool", [new, "trees"]).output == "fruit\t500\n")
    #expect(try runTool("kvtool", [new, "lookup", "other"]).output == "0\n")
    #expect(try runTool("kvtool", [new, "verify"]).status == 0)
    try tool.expectFailure(["backup", new], status: 3, saying: "alreadyExists")
    let line = try #require(
      try jsonLines(tool.run(["backup", tool.folder.file("b.db"), "--json"])).first)
    #expect(line["entries"] as? Int == 501 && (line["bytes"] as? Int ?? 0) > 0)
    // What is damaged is not copied; salvage is for that.
    let info = try #require(try jsonLines(tool.run(["info", "--json"])).first)
    let pageSize = try #require(info["page_size"] as? Int)
    let length = try Data(contentsOf: URL(filePath: tool.path)).count
    try damage(tool, 4 * pageSize..<length)
    let damaged = try tool.run(["backup", tool.folder.file("c.db")])
    #expect(damaged.status == 3 && damaged.error.contains("corrupted"), "\(damaged)")
    #expect(try tool.run(["backup", ""]).status == 2)
  }

  @Test func lossesAreTold() throws {
    let tool = try fixture()
    let info = try #require(try jsonLines(tool.run(["info", "--json"])).first)
    let identifier = try #require(info["file_identifier"] as? String)
    let pageSize = try #require(info["page_size"] as? Int)
    try damage(tool, 0..<512)
    let first = tool.folder.file("first.db")
    let noted = try tool.run(["salvage", first])
    #expect(noted.status == 0)
    #expect(noted.output.hasPrefix("note: one of the two superblocks"))
    try damage(tool, pageSize..<pageSize + 512)
    let options = ["--identifier", identifier]
    let new = tool.folder.file("new.db")
    let result = try tool.run(["salvage", new] + options)
    #expect(result.status == 3)
    #expect(result.output.contains("lost: both superblocks are damaged"))
    #expect(result.output.contains("in \"salvaged\""))
    #expect(result.error.contains("salvage reports 1 loss"))
    let salvaged = try runTool("kvtool", [new, "scan", "--tree", "salvaged"]).output
    for number in 0..<500 { #expect(salvaged.contains("fruit \(number)\tred\n")) }
  }

  @Test func badUsage() throws {
    let tool = try fixture()
    try tool.expectFailure(["salvage"], status: 2, saying: "NEW-FILE")
    try tool.expectFailure(["salvage", "x", "--identifier", "7"], status: 2, saying: "32")
    let path = tool.folder.file("letter")
    try Data("a letter".utf8).write(to: URL(filePath: path))
    let result = try runTool("kvtool", [path, "salvage", tool.folder.file("new.db")])
    expectMessage(result, status: 3, saying: "notADatabase", arguments: [])
    #expect(try runTool("kvtool", [path + "2", "salvage", "y"]).status == 3)
    #expect(try tool.run(["help", "salvage"]).output.contains("damaged file is only read"))
  }
}
