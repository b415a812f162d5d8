import BTreeKV

/// The whole program.
///
/// - Returns: The exit status.
func runDemo(_ arguments: [String]) -> Int32 {
  let options: Options
  do throws(UsageError) {
    guard let parsed = try Options.parse(arguments.dropFirst()) else {
      write(Options.usage, to: standardOutput)
      return 0
    }
    options = parsed
  } catch {
    write("Demo: \(error.message)\nDemo --help lists the options\n", to: standardError)
    return 2
  }

  let before = fileState(options.path)
  if let refusal = refusal(of: options, before) {
    write("Demo: \(refusal)\n", to: standardError)
    return 2
  }
  Interruption.install()
  var demo = Demonstration(options: options, isReused: before.isReused)
  demo.run()
  return demo.exitStatus
}

/// Why the file must not be used as the options ask, if so.
private func refusal(of options: Options, _ file: FileState) -> String? {
  if file.isReused && !options.keepsFile {
    return "\(options.path) is there already: remove it, or say --keep to use it and leave it there"
  }
  if !file.isReused && !options.phases.contains(.insert) {
    return "\(options.path) is not there: make it with --phases insert --keep first"
  }
  return nil
}

extension FileState {
  fileprivate var isReused: Bool {
    if case .present = self { true } else { false }
  }
}

/// One run: opens the file, runs the phases, closes the file, says what came out.
private struct Demonstration {
  let options: Options
  let isReused: Bool
  let report: Report
  private(set) var exitStatus: Int32 = 0
  private var summary = Report.Summary(
    statistics: nil, fileByteCount: 0, peakMemoryByteCount: 0, isVerified: false)
  private var leavesFile = false

  init(options: Options, isReused: Bool) {
    self.options = options
    self.isReused = isReused
    report = Report(options: options)
    leavesFile = options.keepsFile || isReused
  }

  mutating func run() {
    do {
      try runAndClose()
      summary.isVerified = true
    } catch {
      complain(of: error)
    }
    if case .present(let byteCount) = fileState(options.path) { summary.fileByteCount = byteCount }
    summary.peakMemoryByteCount = peakMemoryByteCount()
    if !leavesFile { removeFile(options.path) }
    if exitStatus != Interruption.exitStatus { report.summary(summary) }
  }

  private mutating func complain(of error: any Error) {
    switch error {
    case DemoFailure.interrupted(let phase, let done):
      leavesFile = true
      let interruption = "interrupted in \(phase) after \(done) operations"
      guard exitStatus == 0 else { return complain("\(interruption); closing failed") }
      exitStatus = Interruption.exitStatus
      return complain("\(interruption); \(options.path) is closed and whole")
    case DemoFailure.wrongAnswer(let message):
      leavesFile = true
      complain("wrong answer: \(message); \(options.path) is left for inspection")
    default:
      complain("\(error)")
    }
    exitStatus = 1
  }

  private func complain(_ message: String) { write("Demo: \(message)\n", to: standardError) }

  private mutating func runAndClose() throws {
    var choices = Database.Options()
    choices.pageSize = options.pageSize
    choices.cacheByteCount = options.cacheMebibytes << 20
    choices.durability = options.durability
    let start = monotonicNanoseconds()
    let database: Database
    do {
      database = try Database.open(options.path, options: choices)
    } catch {
      // What can't be opened is not this run's to remove.
      leavesFile = true
      throw error
    }
    let opened = monotonicNanoseconds() - start
    do {
      report.header(try database.statistics(), nanoseconds: opened, isReused: isReused)
      try runPhases(database)
    } catch {
      do {
        try database.close()
      } catch let closing {
        complain(of: closing)
      }
      throw error
    }
    try database.close()
  }

  private mutating func runPhases(_ database: Database) throws {
    let workload = Workload(
      count: options.count, keyByteCount: options.keyByteCount,
      valueByteCount: options.valueByteCount, seed: options.seed, keys: options.keys)
    var bench = Bench(
      database: database, workload: workload, options: options, report: report,
      isReused: isReused, allowsReplacedValues: isReused)
    for phase in Options.Phase.allCases where options.phases.contains(phase) {
      // The tree's height and fill are told of the loaded tree.
      if phase == .remove { summary.statistics = try database.statistics() }
      switch phase {
      case .insert: try bench.insertAll()
      case .lookup: try bench.lookUpAll()
      case .ascending: try bench.scanAll(reversed: false)
      case .descending: try bench.scanAll(reversed: true)
      case .step: try bench.stepThroughSome()
      case .mixed: try bench.readAndWrite()
      case .verify: try bench.verify()
      case .remove: try bench.removeAll()
      }
      if phase == .mixed { bench.allowsReplacedValues = true }
    }
    if summary.statistics == nil { summary.statistics = try database.statistics() }
  }
}
