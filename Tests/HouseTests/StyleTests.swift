import Foundation
import Testing

/// The habits that `CONTRIBUTING.md` names, as far as a program can see them.
@Suite struct StyleTests {
  static let root = URL(filePath: #filePath)
    .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

  /// Every folder with code of ours.
  static let folders = ["Sources", "Demo", "Tests", "Benchmarks", "Fuzz"]

  static func files(in folders: [String], ending: String) throws -> [URL] {
    try folders.flatMap { folder in
      let found = FileManager.default.enumerator(
        at: root.appending(path: folder), includingPropertiesForKeys: nil)
      return try #require(found).compactMap { $0 as? URL }.filter {
        $0.path.hasSuffix(ending) && !$0.path.contains("/.build")
      }
    }
  }

  /// A file's path from the package's folder on.
  static func relativePath(of file: URL) -> String {
    let prefix = root.standardizedFileURL.path
    let path = file.standardizedFileURL.path
    guard path.hasPrefix(prefix) else { return path }
    return String(path.dropFirst(prefix.count).drop { $0 == "/" })
  }

  private static func lines(of file: URL) throws -> [Substring] {
    try String(contentsOf: file, encoding: .utf8).split(
      separator: "\n", omittingEmptySubsequences: false)
  }

  @Test func filesAreShort() throws {
    for file in try Self.files(in: Self.folders, ending: ".swift") {
      let count = try Self.lines(of: file).count
      #expect(count <= 460, "\(Self.relativePath(of: file)) has \(count) lines; split it by topic")
    }
  }

  /// The functions of a formatted file: they end where a brace stands below their first line.
  static func functions(in lines: [Substring]) -> [(line: Int, lineCount: Int)] {
    var functions: [(line: Int, lineCount: Int)] = []
    for (start, line) in lines.enumerated() {
      let code = line.drop { $0 == " " }
      guard beginsFunction(code), let body = lines[start...].firstIndex(where: endsSignature),
        lines[body].last == "{"
      else { continue }
      let brace = String(repeating: " ", count: line.count - code.count) + "}"
      guard let end = lines[body...].firstIndex(where: { $0.hasPrefix(brace) }) else { continue }
      functions.append((start + 1, end - start + 1))
    }
    return functions
  }

  private static func beginsFunction(_ code: Substring) -> Bool {
    guard code.first != "/", code.first != "\"" else { return false }
    let words = code.prefix { $0 != "(" && $0 != "\"" }.split(separator: " ")
    return words.contains("func") || words.last == "init" || words.last == "init?"
      || words.first == "deinit"
  }

  /// Whether a body begins, or it is clear that none does: it is on one line, or there is none.
  private static func endsSignature(_ line: Substring) -> Bool {
    line.last == "{" || line.last == "}" || line.isEmpty
  }

  @Test func functionsAreShort() throws {
    var count = 0
    for file in try Self.files(in: Self.folders, ending: ".swift") {
      for (line, lineCount) in Self.functions(in: try Self.lines(of: file)) {
        count += 1
        #expect(
          lineCount <= 70,
          "\(Self.relativePath(of: file)):\(line): a function of \(lineCount) lines; divide it")
      }
    }
    #expect(count > 1000, "functions are not found any more")
  }

  @Test func functionsAreFound() {
    let text = """
      struct A {
        @Test func a() {
          let text = "func no() {"
        }

        private init(
          b: Int
        ) {
          self.b = b
        }

        init() {}

        func none()
      }
      """
    let found = Self.functions(in: text.split(separator: "\n", omittingEmptySubsequences: false))
    #expect(found.map(\.line) == [2, 6])
    #expect(found.map(\.lineCount) == [3, 5])
  }

  @Test func librariesDoNotImportFoundation() throws {
    // But for the one that exists for what Foundation has.
    for file in try Self.files(in: ["Sources"], ending: ".swift")
    where !file.path.contains("/Sources/BTreeKVCodable/") {
      let text = try String(contentsOf: file, encoding: .utf8)
      #expect(!text.contains("import Foundation"), "\(Self.relativePath(of: file))")
    }
  }

  /// ThreadSanitizer does not see the standard library's mutex on Linux: use `Locked`.
  @Test func nobodyUsesTheLockThatSanitizersMiss() throws {
    let marks = ["<", "("].map { " Mut" + "ex" + $0 }
    for file in try Self.files(in: ["Sources", "Tests"], ending: ".swift") {
      let text = try String(contentsOf: file, encoding: .utf8)
      for mark in marks {
        let isFound = text.contains(mark)
        #expect(!isFound, "\(Self.relativePath(of: file)) says \(mark); use Locked")
      }
    }
  }

  @Test func rootPackageHasNoDependencies() throws {
    let manifest = try String(
      contentsOf: Self.root.appending(path: "Package.swift"), encoding: .utf8)
    #expect(!manifest.contains(".package("))
  }

  @Test func nothingIsLeftUnfinished() throws {
    let marks = ["TO" + "DO", "FIX" + "ME", "X" + "XX"]
    for file in try Self.files(in: Self.folders, ending: ".swift") {
      let text = try String(contentsOf: file, encoding: .utf8)
      for mark in marks {
        let isFound = text.contains(mark)
        #expect(!isFound, "\(Self.relativePath(of: file)) says \(mark)")
      }
    }
  }

  /// Every file of the repository, documents and scripts included.
  private static func allFiles() throws -> [URL] {
    let top = try FileManager.default.contentsOfDirectory(
      at: root, includingPropertiesForKeys: [.isRegularFileKey])
    return try top.filter {
      try $0.resourceValues(forKeys: [.isRegularFileKey]).isRegularFile == true
    }
      + files(in: folders + ["docs", ".ci"], ending: "")
  }

  /// Paths of one machine mean nothing on another, and say whose it was.
  @Test func noPathOfOneMachine() throws {
    let marks = ["work", "home", "Users", "root"].map { "/" + $0 + "/" }
    var count = 0
    for file in try Self.allFiles() {
      // Folders and what is no text are none of these.
      guard let text = try? String(contentsOf: file, encoding: .utf8) else { continue }
      count += 1
      for mark in marks {
        let isFound = text.contains(mark)
        #expect(!isFound, "\(Self.relativePath(of: file)) names a path in \(mark)")
      }
    }
    #expect(count > 100, "files are not found any more")
  }
}
