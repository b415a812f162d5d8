import Foundation
import Testing

/// The habits that `CONTRIBUTING.md` names, as far as a program can see them.
@Suite struct StyleTests {
  static let root = URL(filePath: #filePath)
    .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

  static func files(in folders: [String], ending: String) throws -> [URL] {
    try folders.flatMap { folder in
      let found = FileManager.default.enumerator(
        at: root.appending(path: folder), includingPropertiesForKeys: nil)
      return try #require(found).compactMap { $0 as? URL }.filter {
        $0.path.hasSuffix(ending) && !$0.path.contains("/.build")
      }
    }
  }

  @Test func filesAreShort() throws {
    for file in try Self.files(in: ["Sources", "Demo"], ending: ".swift") {
      let lines = try String(contentsOf: file, encoding: .utf8).split(
        separator: "\n", omittingEmptySubsequences: false)
      #expect(lines.count <= 460, "\(file.lastPathComponent) has \(lines.count) lines")
    }
  }

  @Test func librariesDoNotImportFoundation() throws {
    // But for the one that exists for what Foundation has.
    for file in try Self.files(in: ["Sources"], ending: ".swift")
    where !file.path.contains("/Sources/BTreeKVCodable/") {
      let text = try String(contentsOf: file, encoding: .utf8)
      #expect(!text.contains("import Foundation"), "\(file.lastPathComponent)")
    }
  }

  @Test func rootPackageHasNoDependencies() throws {
    let manifest = try String(
      contentsOf: Self.root.appending(path: "Package.swift"), encoding: .utf8)
    #expect(!manifest.contains(".package("))
  }

  @Test func nothingIsLeftUnfinished() throws {
    let marks = ["TO" + "DO", "FIX" + "ME", "X" + "XX"]
    for file in try Self.files(in: ["Sources", "Demo", "Tests"], ending: ".swift") {
      let text = try String(contentsOf: file, encoding: .utf8)
      for mark in marks {
        #expect(!text.contains(mark), "\(file.lastPathComponent) says \(mark)")
      }
    }
  }
}
