import Foundation
import Testing

/// Each example in a documentation comment is compiled and run: see `DocumentationExamples.swift`.
@Suite struct DocumentationTests {
  /// A piece of code between fences in a documentation comment.
  struct Example {
    var file: String
    var line: Int
    var language: String
    var code: String
  }

  /// The pieces of code in the documentation comments of a source file.
  static func examples(in text: String, file: String) -> [Example] {
    var examples: [Example] = []
    var open: Example?
    for (index, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated()
    {
      let trimmed = line.drop { $0 == " " }
      guard trimmed.hasPrefix("///") else { continue }
      let comment = trimmed.dropFirst(3).drop { $0 == " " }
      if comment.hasPrefix("```") {
        if let example = open {
          examples.append(example)
          open = nil
        } else {
          open = Example(
            file: file, line: index + 1, language: String(comment.dropFirst(3)), code: "")
        }
      } else {
        open?.code += comment + "\n"
      }
    }
    return examples
  }

  static func allExamples() throws -> [Example] {
    try StyleTests.files(in: ["Sources"], ending: ".swift").flatMap { file in
      examples(
        in: try String(contentsOf: file, encoding: .utf8),
        file: StyleTests.relativePath(of: file))
    }
  }

  /// Code without what formatting may change: white space, comments, and the name of the file.
  static func essence(of code: String) -> String {
    let lines = code.split(separator: "\n").map { line -> Substring in
      let trimmed = line.drop { $0 == " " }
      if trimmed.hasPrefix("//") { return "" }
      return line.firstRange(of: "  // ").map { line[..<$0.lowerBound] } ?? line
    }
    return lines.joined().filter { !$0.isWhitespace }
      .replacing(/"[A-Za-z0-9 ]+\.btreekv"/, with: "path")
  }

  @Test func examplesAreRun() throws {
    let place = "Tests/HouseTests/DocumentationExamples.swift"
    let tested = try StyleTests.files(in: ["Tests/HouseTests"], ending: ".swift")
      .filter { $0.lastPathComponent.hasPrefix("DocumentationExamples") }
      .map { Self.essence(of: try String(contentsOf: $0, encoding: .utf8)) }
      .joined(separator: "\n")
    let examples = try Self.allExamples()
    #expect(examples.count >= 2, "the examples are not found any more")
    for example in examples where example.language == "swift" {
      let essence = Self.essence(of: example.code)
      let isRun = !essence.isEmpty && tested.contains(essence)
      #expect(
        isRun,
        """
        \(example.file):\(example.line): no test runs this example. Copy it into a test of its own \
        in \(place), or bring the copy that is there up to date:
        \(example.code)
        """)
    }
  }

  /// What is not Swift says so, that no example goes untested for want of a word.
  @Test func fencesNameTheirLanguage() throws {
    for example in try Self.allExamples() {
      #expect(
        ["swift", "text", "sh"].contains(example.language),
        "\(example.file):\(example.line): write ```swift, ```text or ```sh")
    }
  }

  /// The search itself: formatting does not matter, each word does.
  @Test func searchTellsExamplesApart() throws {
    let source = """
      /// Opens.
      ///
      /// ```swift
      /// let database = try Database.open("a b.btreekv")  // creates it
      /// try database.insert("x y", "z")
      /// ```
      func open() {}
      """
    let found = Self.examples(in: source, file: "here")
    try #require(found.count == 1)
    #expect(found[0].line == 3)
    let essence = Self.essence(of: found[0].code)
    let wrapped = """
      // some test
        let database = try Database.open(
          path)
        // another remark
        try database.insert("x y", "z")
        #expect(database.count == 1)
      """
    #expect(Self.essence(of: wrapped).contains(essence))
    let changed = wrapped.replacing("z", with: "w")
    #expect(!Self.essence(of: changed).contains(essence))
    let commentedOut = wrapped.replacing("  try", with: "  // try")
    #expect(!Self.essence(of: commentedOut).contains(essence))
  }
}
