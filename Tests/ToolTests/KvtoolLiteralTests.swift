import Foundation
import Testing

/// How keys and values are read from words and shown again.
@Suite struct KvtoolLiteralTests {
  /// A word, the digits of what it stands for, and how that is printed.
  @Test(arguments: [
    ("text", "74657874", "text"), ("", "", ""), ("é", "c3a9", "é"),
    ("X64'00cafebabe'", "00cafebabe", "X'00cafebabe'"), ("X'00CAfe'", "00cafe", "X'00cafe'"),
    ("x'61'", "61", "a"), ("X''", "", ""), ("0x00ff", "00ff", "X'00ff'"), ("0X6162", "6162", "ab"),
    ("T'0x12'", "30783132", "T'0x12'"), ("T'X''00'''", "582730302" + "7", "T'X''00'''"),
    ("T''", "", ""), ("T'-'", "2d", "-"), ("X'0a'", "0a", "X'0a'"), ("X'7f'", "7f", "X'7f'"),
    ("X'c285'", "c285", "X'c285'"), ("X'e280ae'", "e280ae", "X'e280ae'"),
    ("X'c0af'", "c0af", "X'c0af'"), ("X", "58", "X"), ("it's", "69742773", "it's"),
    ("a b", "612062", "a b"), ("👩‍👧", "f09f91a9e2808df09f91a7", "👩‍👧"),
  ])
  func literal(_ word: String, _ digits: String, _ shown: String) throws {
    let tool = try KvtoolFixture()
    try tool.expect(["insert", word, word], status: 0, output: "")
    try tool.expect(["lookup", word], status: 0, output: shown + "\n")
    try tool.expect(["lookup", "--hex", word], status: 0, output: digits + "\n")
    // What was printed is a word for the same key.
    try tool.expect(["scan", "--keys-only"], status: 0, output: shown + "\n")
    try tool.expect(["lookup", shown, "--hex"], status: 0, output: digits + "\n")
  }

  @Test(arguments: [
    "0x", "0x1", "0x123", "0xzz", "X'1'", "X'zz'", "X'00", "X'", "X64'0'", "X64'00", "X'00'00'",
    "T'open", "T'", "T'a'b'", "X'0 0'",
  ])
  func brokenLiteral(_ word: String) throws {
    let tool = try KvtoolFixture()
    try tool.expectFailure(["lookup", word], status: 2)
    try tool.expectFailure(["insert", "k", word], status: 2)
    try tool.expectFailure(["scan", "--from", word], status: 2)
    try tool.expect(["len"], status: 0, output: "0\n")
  }

  @Test(arguments: [0, 1, 4096, 65536, 300_000])
  func binaryValueThroughStandardInput(_ byteCount: Int) throws {
    let tool = try KvtoolFixture()
    // Every byte, newlines and zeros included, and a newline at the end.
    var value = (0..<byteCount).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 8) }
    if !value.isEmpty { value[value.count - 1] = 10 }
    let inserted = try runTool("kvtool", [tool.path, "insert", "k", "-"], input: Data(value))
    #expect(inserted.status == 0, "\(inserted.error)")
    let found = try tool.run(["lookup", "k", "--raw"])
    #expect(found.status == 0)
    #expect(found.outputBytes == value)
    let hex = try tool.run(["lookup", "k", "--hex"])
    #expect(hex.output.utf8.count == byteCount * 2 + 1)
  }

  @Test func rawPutsNewlinesBetweenEntriesOnly() throws {
    let tool = try KvtoolFixture()
    try tool.insert([("X'00'", "X'ff0a'"), ("b", "2")])
    #expect(try tool.run(["scan", "--raw"]).outputBytes == [0, 9, 0xff, 10, 10, 98, 9, 50])
    #expect(try tool.run(["min", "--raw"]).outputBytes == [0, 9, 0xff, 10])
    #expect(try tool.run(["scan", "--raw", "--keys-only"]).outputBytes == [0, 10, 98])
    try tool.expect(["scan", "--hex"], status: 0, output: "00\tff0a\n62\t32\n")
  }

  @Test func jsonIsValidWhateverTheBytes() throws {
    let tool = try KvtoolFixture()
    let texts = ["plain", "quote \" and \\ backslash", "é 👩‍👧", "", "</script>", "it's", "0x00"]
    for text in texts {
      let literal = "T'" + text.replacingOccurrences(of: "'", with: "''") + "'"
      try tool.insert([(literal, literal)])
      let line = try #require(try jsonLines(try tool.run(["lookup", literal, "--json"])).first)
      #expect(line["key"] as? String == text)
      #expect(line["value"] as? String == text)
    }
    for byte in 0..<256 {
      let digits = String(byte, radix: 16)
      let hex = (digits.count == 1 ? "0" : "") + digits
      if byte % 16 == 0 || byte < 32 { try tool.insert([("0x\(hex)01", "0x\(hex)")]) }
    }
    let lines = try jsonLines(try tool.run(["scan", "--json"]))
    #expect(lines.count == texts.count + 46)
    let bytes = try #require(try jsonLines(try tool.run(["lookup", "0xf001", "--json"])).first)
    #expect(bytes["key"] as? [String: String] == ["hex": "f001"])
    #expect(bytes["value"] as? [String: String] == ["hex": "f0"])
    let hex = try #require(
      try jsonLines(try tool.run(["lookup", "plain", "--json", "--hex"])).first)
    #expect(hex["key"] as? [String: String] == ["hex": "706c61696e"])
  }

  @Test func jsonOfChangesAndCounts() throws {
    let tool = try KvtoolFixture()
    try tool.expect(
      ["insert", "a", "1", "--json"], status: 0, output: "{\"key\":\"a\",\"new\":true}\n")
    try tool.expect(
      ["insert", "a", "1", "--json"], status: 0, output: "{\"key\":\"a\",\"new\":false}\n")
    try tool.expect(["len", "--json"], status: 0, output: "{\"count\":1}\n")
    try tool.expect(
      ["remove", "a", "--json"], status: 0, output: "{\"key\":\"a\",\"removed\":true}\n")
    try tool.expect(["lookup", "a", "--json"], status: 1, output: "")
  }
}
