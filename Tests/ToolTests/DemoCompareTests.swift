import Foundation
import Testing

/// `Benchmarks/compare`, run tiny and without peers, so that it can't rot unnoticed.
@Suite struct DemoCompareTests {
  private static let script = URL(fileURLWithPath: #filePath)
    .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
    .appendingPathComponent("Benchmarks/compare")

  private static let isRunnable =
    FileManager.default.isExecutableFile(atPath: script.path)
    && FileManager.default.isExecutableFile(atPath: "/usr/bin/python3")

  @Test(.enabled(if: isRunnable)) func everyGroupOfOursIsMeasured() throws {
    let folder = try ScratchFolder()
    let process = Process()
    process.executableURL = Self.script
    process.arguments = [
      "--demo", try locateTool("Demo").path, "--engines", "", "--repeats", "1", "--count", "2000",
      "--sync-count", "50", "--large-count", "3000", "--seconds", "0.1", "--dir", folder.path,
      "--groups", "load,sync,mixed,dense,large", "--json", folder.file("raw.json"),
    ]
    process.standardOutput = FileHandle.nullDevice
    process.standardError = FileHandle.nullDevice
    try process.run()
    process.waitUntilExit()
    try #require(process.terminationStatus == 0)

    let data = try Data(contentsOf: URL(fileURLWithPath: folder.file("raw.json")))
    let raw = try #require(try JSONSerialization.jsonObject(with: data) as? [String: Any])
    let rows = try #require(raw["rows"] as? [[String: Any]])
    #expect(rows.count == 24)
    for row in rows {
      #expect((row["ours"] as? Double).map { $0 > 0 } == true, "\(row["label"] ?? "")")
    }
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path) == ["raw.json"])
  }
}
