import BTreeKV
import Foundation
import Testing
import Vectors

/// The tool on vectors.
@Suite struct KvtoolVectorTests {
  /// A file with the vectors `heights` (171, a hole, 165; version 2, stamp 7), `prices` (with what is not
  /// finite), `flags`, `points` (no numbers), and `many`.
  private func fixture() throws -> KvtoolFixture {
    let tool = try KvtoolFixture()
    let database = try Database.open(tool.path)
    let heights = try RawVector<UInt32>.open("heights", in: database, version: 2)
    heights.append(contentsOf: [171, 181, 165])
    try heights.take(at: 1)
    try heights.commit(stamp: 7)
    let prices = try RawVector<Double>.open("prices", in: database)
    try prices.write(appending: [1.5, -.infinity, .nan, -0.0])
    try RawVector<Bool>.open("flags", in: database).write(appending: [true, false, true])
    try RawVector<SIMD2<Float>>.open("points", in: database).write(appending: [.zero])
    try RawVector<UInt64>.open("many", in: database)
      .write(appending: (0..<3000).map { UInt64.max - $0 })
    try database.close()
    return tool
  }

  @Test func vectorsAreListed() throws {
    let tool = try fixture()
    try tool.expect(
      ["vectors"], status: 0,
      output: "flags\tbool\t3\nheights\tu32\t3\nmany\tu64\t3000\n"
        + "points\tsimd2<f32>\t1\nprices\tf64\t4\n")
    let lines = try jsonLines(try tool.run(["vectors", "--json"]))
    #expect(
      lines.map { $0["name"] as? String } == ["flags", "heights", "many", "points", "prices"])
    #expect(lines[1]["type"] as? String == "u32" && lines[1]["element_bytes"] as? Int == 4)
    #expect(lines[1]["version"] as? Int == 2 && lines[1]["stamp"] as? Int == 7)
    #expect(lines[1]["format"] as? String == "raw" && lines[0]["stamp"] is NSNull)
    try KvtoolFixture().expect(["vectors"], status: 0, output: "")
  }

  @Test func elementsArePrinted() throws {
    let tool = try fixture()
    try tool.expect(
      ["vector", "heights", "head"], status: 0, output: "0\t171\n1\t\n2\t165\n")
    try tool.expect(["vector", "heights", "head", "1"], status: 0, output: "0\t171\n")
    try tool.expect(["vector", "heights", "head", "0"], status: 0, output: "")
    try tool.expect(["vector", "heights", "tail", "1"], status: 0, output: "2\t165\n")
    try tool.expect(
      ["vector", "heights", "tail", "99", "--json"], status: 0,
      output:
        "{\"index\":0,\"value\":171}\n{\"index\":1,\"value\":null}\n{\"index\":2,\"value\":165}\n")
    try tool.expect(
      ["vector", "many", "slice", "2998", "3005"], status: 0,
      output: "2998\t18446744073709548617\n2999\t18446744073709548616\n")
    try tool.expect(["vector", "many", "slice", "5", "3"], status: 0, output: "")
    try tool.expect(
      ["vector", "prices", "slice", "1", "4", "--json"], status: 0,
      output: "{\"index\":1,\"value\":\"-inf\"}\n{\"index\":2,\"value\":\"nan\"}\n"
        + "{\"index\":3,\"value\":-0.0}\n")
    try tool.expect(["vector", "flags", "head", "2"], status: 0, output: "0\ttrue\n1\tfalse\n")
  }

  @Test func compressedVectorsAreShownAndFilled() throws {
    let tool = try fixture()
    let numbers = (0..<40_000).map { 3 * $0 }
    let lines = "n\n" + numbers.map { "\($0)\n" }.joined() + "\n"
    func load(_ text: String, _ arguments: String...) throws -> Int32 {
      try runTool(
        "kvtool", [tool.path, "vector"] + arguments, input: Data(text.utf8)
      ).status
    }
    #expect(try load(lines, "n", "import", "--type", "u32", "--compressed") == 0)
    #expect(try tool.run(["vectors", "--json"]).output.contains("\"format\":\"compressed\""))
    try tool.expect(
      ["vector", "n", "tail", "2"], status: 0, output: "39999\t119997\n40000\t\n")
    try tool.expect(["vector", "n", "verify"], status: 0, output: "sound: 40001 elements\n")
    let text = try tool.run(["vector", "n", "stats"]).output
    #expect(text.contains("max       119997\nsum       \(numbers.reduce(0, +))\n"), "\(text)")
    #expect(try tool.run(["vector", "n", "export"]).output == lines)
    // The vector's own format counts later.
    #expect(try load("n\n7\n", "n", "import", "--replace") == 0)
    try tool.expect(["vector", "n", "head"], status: 0, output: "0\t7\n")
    #expect(try tool.run(["vectors", "--json"]).output.contains("\"format\":\"compressed\""))
    // Such elements have no compressed form, and a raw vector stays one.
    #expect(try load("x\ntrue\n", "x", "import", "--type", "bool", "--compressed") == 3)
    #expect(try load("heights\n1\n", "heights", "import", "--compressed") == 3)
  }

  @Test func computedColumnsAreMarked() throws {
    let tool = try fixture()
    let database = try Database.open(tool.path)
    let many = try RawVector<UInt64>.open("many", in: database)
    let heights = try RawVector<UInt32>.open("heights", in: database, version: 2)
    let most = ComputedVector(
      try CompressedVector<UInt64>.open("most", in: database), from: many, by: .map { $0 - 1 })
    let sums = ComputedVector(
      try RawVector<UInt32>.open("sums", in: database), from: heights, heights, by: .addition,
      version: 9)
    try most.update()
    try sums.update()
    try heights.update(at: 2, 1)
    try heights.write()
    try database.close()
    let lines = try tool.run(["vectors"]).output.split(separator: "\n")
    #expect(lines.contains("many\tu64\t3000") && lines.contains("heights\tu32\t3"))
    #expect(lines.contains("most\tu64\t3000\tmap of many\tup to date"), "\(lines)")
    let state = "outdated, 2 elements are right"
    #expect(lines.contains("sums\tu32\t3\taddition of heights, heights\t\(state)"), "\(lines)")
    let told = try jsonLines(try tool.run(["vectors", "--json"]))
    #expect(told.map { $0["rule"] as? String } == [nil, nil, nil, "map", nil, nil, "addition"])
    #expect(told[3]["up_to_date"] as? Bool == true && told[3]["right"] as? Int == 3000)
    #expect(told[6]["sources"] as? [String] == ["heights", "heights"])
    #expect(told[6]["rule_version"] as? Int == 9 && told[6]["up_to_date"] as? Bool == false)
    // Single ones: also where the elements are compressed.
    let most3 = try tool.run(["vector", "most", "stats"]).output
    #expect(
      most3.hasSuffix("computed  map of many\nstate     up to date\n")
        && most3.contains("elements  3000\n"), "\(most3)")
    try tool.expect(
      ["vector", "sums", "verify"], status: 0,
      output: "sound: 3 elements\ncomputed: addition of heights, heights, \(state)\n")
    try tool.expect(
      ["vector", "most", "verify", "--json"], status: 0,
      output: "{\"name\":\"most\",\"sound\":true,\"rule\":\"map\",\"rule_version\":0,"
        + "\"sources\":[\"many\"],\"right\":3000,\"up_to_date\":true}\n")
    let again = try Database.open(tool.path)
    try again.removeVector("many")
    try again.close()
    let gone = try #require(
      try jsonLines(try tool.run(["vector", "most", "stats", "--json"])).first)
    #expect((gone["sources"] as? [Any])?.first is NSNull && gone["up_to_date"] as? Bool == false)
    #expect(try tool.run(["vectors"]).output.contains("\tmap of (gone)\toutdated, 0 "))
  }

  @Test func statisticsAreTold() throws {
    let tool = try fixture()
    let text = try tool.run(["vector", "heights", "stats"]).output
    #expect(
      text.hasSuffix(
        """
        elements  3
        holes     1
        min       165
        max       171
        sum       336
        mean      168.0

        """), "\(text)")
    let many = try tool.run(["vector", "many", "stats", "--json"]).output
    // More than 64 bits have room for.
    #expect(many.contains("\"sum\":55340232221128650346500,"), "\(many)")
    let prices = try #require(
      try jsonLines(tool.run(["vector", "prices", "stats", "--json"])).first)
    #expect(prices["sum"] as? String == "nan" && prices["max"] as? Double == 1.5)
    #expect(prices["min"] as? String == "-inf")
    #expect(try tool.run(["vector", "flags", "stats"]).output.contains("sum       2\n"))
  }

  @Test func histogramCounts() throws {
    let tool = try fixture()
    try tool.expect(
      ["vector", "heights", "histogram", "--bins", "2"], status: 0,
      output: "165.0\t168.0\t1\n168.0\t171.0\t1\n")
    let prices = try tool.run(["vector", "prices", "histogram", "--bins", "3", "--json"])
    let lines = try jsonLines(prices)
    #expect(lines.map { $0["count"] as? Int } == [1, 0, 1])
    #expect(prices.error == "2 elements are not finite\n")
    let many = try jsonLines(tool.run(["vector", "many", "histogram", "--json"]))
    #expect(many.compactMap { $0["count"] as? Int }.reduce(0, +) == 3000)
  }

  @Test func exportsAreImported() throws {
    let tool = try fixture()
    try tool.expect(
      ["vector", "heights", "export"], status: 0, output: "heights\n171\n\n165\n")
    try tool.expect(
      ["vector", "heights", "export", "--format", "ndjson", "--column", "cm"], status: 0,
      output: "{\"cm\":171}\n{\"cm\":null}\n{\"cm\":165}\n")
    for format in ["csv", "ndjson", "json", "npy"] {
      for (name, type) in [("many", "u64"), ("prices", "f64"), ("flags", "bool")] {
        let text = try tool.run(["vector", name, "export", "--format", format])
        #expect(text.status == 0, "\(text.error)")
        let copy = try runTool(
          "kvtool",
          [
            tool.path, "vector", "copy", "import", "--format", format, "--type", type, "--column",
            name,
          ], input: Data(text.outputBytes))
        #expect(copy.status == 0, "\(name) as \(format): \(copy.error)")
        let again = try tool.run(
          ["vector", "copy", "export", "--format", format, "--column", name])
        #expect(again.outputBytes == text.outputBytes, "\(name) as \(format)")
        let database = try Database.open(tool.path)
        try database.removeVector("copy")
        try database.close()
      }
    }
    let path = tool.folder.file("more.csv")
    try Data("a,heights\n1,180\n2,\n".utf8).write(to: URL(filePath: path))
    try tool.expect(
      ["vector", "heights", "import", path, "--json"], status: 0,
      output: "{\"name\":\"heights\",\"from\":3,\"elements\":2}\n")
    try tool.expect(
      ["vector", "heights", "tail", "3"], status: 0, output: "2\t165\n3\t180\n4\t\n")
    try tool.expect(["vector", "heights", "import", "--replace", path], status: 0, output: "")
    try tool.expect(["vector", "heights", "head"], status: 0, output: "0\t180\n1\t\n")
    try tool.expect(["vector", "heights", "verify"], status: 0, output: "sound: 2 elements\n")
  }

  /// What can't be read to its end changes nothing.
  @Test func wrongImportsChangeNothing() throws {
    let tool = try fixture()
    let path = tool.folder.file("wrong.csv")
    try Data("heights\n1\n-2\n".utf8).write(to: URL(filePath: path))
    try tool.expectFailure(
      ["vector", "heights", "import", path], status: 3,
      saying: "line 3, column 1: \"-2\" is no UInt32")
    try tool.expectFailure(
      ["vector", "new", "import", path, "--type", "u8"], status: 3, saying: "no column \"new\"")
    try tool.expectFailure(
      ["vector", "heights", "import", path, "--type", "u64"], status: 3, saying: "typeMismatch")
    try tool.expectFailure(
      ["vector", "heights", "import", path, "--format", "npy"], status: 3, saying: ".npy")
    try tool.expectFailure(
      ["vector", "heights", "import", tool.folder.file("none")], status: 3, saying: "none")
    let unknown = try tool.run(["vector", "new", "import", path])
    #expect(unknown.status == 1 && unknown.error.contains("--type"))
    try tool.expect(
      ["vector", "heights", "head"], status: 0, output: "0\t171\n1\t\n2\t165\n")
    #expect(try tool.run(["vectors"]).output.contains("new") == false)
  }

  @Test func whatIsNotThereOrNoNumberIsSaid() throws {
    let tool = try fixture()
    for action in ["head", "stats", "histogram", "export", "verify"] {
      let found = try tool.run(["vector", "none", action])
      #expect(found.status == 1 && found.output == "", "\(action)")
      #expect(found.error == "no vector named none\n", "\(action)")
    }
    try tool.expectFailure(["vector", "points", "head"], status: 3, saying: "simd2<f32>")
    try tool.expect(["vector", "points", "verify"], status: 0, output: "sound: 1 elements\n")
    try tool.expect(
      ["vector", "many", "verify", "--json"], status: 0,
      output: "{\"name\":\"many\",\"sound\":true}\n")
  }

  @Test(arguments: [
    ["vector"], ["vector", "x"], ["vector", "x", "sing"], ["vector", "x", "head", "-1"],
    ["vector", "x", "head", "1", "2"], ["vector", "x", "slice", "1"],
    ["vector", "x", "stats", "1"], ["vector", "x", "export", "--format", "xml"],
    ["vector", "x", "import", "--type", "u7"], ["vector", "x", "head", "--bins", "3"],
    ["vector", "x", "histogram", "--bins", "0"], ["vector", "", "head"], ["vectors", "x"],
  ])
  func badUsage(_ words: [String]) throws {
    try KvtoolFixture().expectFailure(words, status: 2)
  }

  @Test func promptKnowsVectors() throws {
    let tool = try fixture()
    let found = try tool.prompt(["vector heights head 1", "vector heights import -", "vectors"])
    #expect(found.status == 2 && found.error.contains("standard input holds the commands"))
    #expect(found.output.hasPrefix("0\t171\nflags\t"))
  }
}
