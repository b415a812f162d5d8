import Foundation
import Testing

@testable import Pager

/// A directory that is there for one test.
private final class TemporaryDirectory: Sendable {
  let path: String

  init() throws {
    path = NSTemporaryDirectory() + "StorageTests-" + UUID().uuidString
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: false)
  }

  deinit {
    try? FileManager.default.removeItem(atPath: path)
  }

  func file(_ name: String = "test.db") -> String { path + "/" + name }
}

extension Storage {
  fileprivate func write(_ bytes: [UInt8], at offset: Int) throws(PagerError) {
    let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes.count, alignment: 1)
    defer { copy.deallocate() }
    copy.copyBytes(from: bytes)
    try write(UnsafeRawBufferPointer(copy), at: offset)
  }

  fileprivate func writeDurably(_ bytes: [UInt8], at offset: Int) throws(PagerError) {
    let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes.count, alignment: 1)
    defer { copy.deallocate() }
    copy.copyBytes(from: bytes)
    try writeDurably(UnsafeRawBufferPointer(copy), at: offset)
  }

  fileprivate func bytes(_ range: Range<Int>) throws(PagerError) -> [UInt8] {
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: range.count, alignment: 1)
    defer { buffer.deallocate() }
    try read(into: buffer, at: range.lowerBound)
    return Array(buffer)
  }
}

/// The code of the error that the closure throws.
private func code(_ body: () throws -> Void) -> PagerError.Code? {
  do {
    try body()
    return nil
  } catch {
    return (error as? PagerError)?.code
  }
}

/// What every storage must do alike.
@Suite struct StorageContractTests {
  enum Kind: CaseIterable, Sendable { case file, memory, faulty }

  private let directory: TemporaryDirectory

  init() throws {
    directory = try TemporaryDirectory()
  }

  private func make(_ kind: Kind) throws -> any Storage {
    switch kind {
    case .file: try FileStorage.open(path: directory.file(), access: .mustNotExist)
    case .memory: try MemoryStorage()
    case .faulty: FaultyStorage(try MemoryStorage())
    }
  }

  @Test(arguments: Kind.allCases)
  func readsGiveWhatWasWritten(kind: Kind) throws {
    let storage = try make(kind)
    #expect(try storage.byteCount() == 0)
    try storage.write([1, 2, 3], at: 10)
    try storage.writeDurably([4, 5], at: 12)
    try storage.synchronize()
    try storage.synchronizeDirectory()
    #expect(try storage.byteCount() == 14)
    #expect(try storage.bytes(8..<14) == [0, 0, 1, 2, 4, 5])
    #expect(try storage.bytes(3..<3) == [])
    try storage.write([], at: 100)
    #expect(try storage.byteCount() == 14)
  }

  @Test(arguments: Kind.allCases)
  func readingBeyondTheEndSaysWhereItIs(kind: Kind) throws {
    let storage = try make(kind)
    try storage.write([1, 2, 3], at: 0)
    let error = #expect(throws: PagerError.self) { try storage.bytes(1..<5) }
    #expect(error?.code == .corrupted)
    #expect(error?.byteOffset == 1)
    #expect(error?.expected == 5)
    #expect(error?.found == 3)
    #expect(code { _ = try storage.bytes(3..<4) } == .corrupted)
    #expect(code { _ = try storage.bytes(1000..<1004) } == .corrupted)
  }

  @Test(arguments: Kind.allCases)
  func impossibleRangesAreRefused(kind: Kind) throws {
    let storage = try make(kind)
    #expect(code { _ = try storage.bytes(-1..<1) } == .invalidArgument)
    #expect(code { try storage.write([1], at: -1) } == .invalidArgument)
    #expect(code { try storage.write([1], at: .max) } == .invalidArgument)
    #expect(code { try storage.truncate(to: -1) } == .invalidArgument)
    #expect(code { try storage.allocate(byteRange: -2..<4) } == .invalidArgument)
    #expect(code { _ = try storage.map(byteRange: 0..<0, writable: true) } == .invalidArgument)
    #expect(code { _ = try storage.map(byteRange: 1..<9, writable: true) } == .invalidArgument)
  }

  @Test(arguments: Kind.allCases)
  func allocationExtendsAndKeepsContent(kind: Kind) throws {
    let storage = try make(kind)
    try storage.write([7], at: 5)
    try storage.allocate(byteRange: 0..<100_000)
    #expect(try storage.byteCount() == 100_000)
    #expect(try storage.allocatedByteCount() >= 100_000)
    #expect(try storage.bytes(5..<7) == [7, 0])
    try storage.allocate(byteRange: 10..<20)
    try storage.allocate(byteRange: 20..<20)
    #expect(try storage.byteCount() == 100_000)
  }

  @Test(arguments: Kind.allCases)
  func truncatedBytesComeBackAsZeros(kind: Kind) throws {
    let storage = try make(kind)
    try storage.write([UInt8](repeating: 9, count: 20_000), at: 0)
    try storage.truncate(to: 5_000)
    #expect(try storage.byteCount() == 5_000)
    try storage.truncate(to: 20_000)
    #expect(try storage.bytes(4_999..<20_000) == [9] + [UInt8](repeating: 0, count: 15_000))
  }

  @Test(arguments: Kind.allCases)
  func mappingsAndCallsSeeTheSameBytes(kind: Kind) throws {
    let storage = try make(kind)
    let page = SystemCalls.pageByteCount
    try storage.allocate(byteRange: 0..<4 * page)
    let writable = try storage.map(byteRange: page..<3 * page, writable: true)
    let readable = try storage.map(byteRange: page..<2 * page, writable: false)
    storage.prefault(writable, byteCount: 2 * page)
    writable.storeBytes(of: 0x55, toByteOffset: 3, as: UInt8.self)
    #expect(try storage.bytes(page + 3..<page + 4) == [0x55])
    try storage.write([0x66], at: page + 4)
    #expect(readable.load(fromByteOffset: 3, as: UInt8.self) == 0x55)
    #expect(readable.load(fromByteOffset: 4, as: UInt8.self) == 0x66)
    storage.close()
    #expect(writable.load(fromByteOffset: 4, as: UInt8.self) == 0x66)
    storage.unmap(readable, byteCount: page)
    storage.unmap(writable, byteCount: 2 * page)
  }

  @Test(arguments: Kind.allCases)
  func closedStorageRefusesAll(kind: Kind) throws {
    let storage = try make(kind)
    try storage.write([1], at: 0)
    storage.close()
    storage.close()
    #expect(code { _ = try storage.byteCount() } == .closed)
    #expect(code { _ = try storage.bytes(0..<1) } == .closed)
    #expect(code { try storage.write([1], at: 0) } == .closed)
    #expect(code { try storage.writeDurably([1], at: 0) } == .closed)
    #expect(code { try storage.synchronize() } == .closed)
    #expect(code { try storage.allocate(byteRange: 0..<1) } == .closed)
    #expect(code { try storage.truncate(to: 0) } == .closed)
    #expect(code { _ = try storage.map(byteRange: 0..<1, writable: true) } == .closed)
  }

  @Test(arguments: Kind.allCases)
  func disjointWritesFromManyThreads(kind: Kind) throws {
    let storage = try make(kind)
    let threads = try (0..<4).map { index in
      try BackgroundThread(name: "writer \(index)") {
        for round in 0..<200 {
          let bytes = [UInt8](repeating: UInt8(index * 50 + round % 50), count: 128)
          try? storage.write(bytes, at: (round * 4 + index) * 128)
        }
      }
    }
    for thread in threads { thread.join() }
    #expect(try storage.byteCount() == 200 * 4 * 128)
    for round in 0..<200 {
      for index in 0..<4 {
        let offset = (round * 4 + index) * 128
        let expected = [UInt8](repeating: UInt8(index * 50 + round % 50), count: 128)
        #expect(try storage.bytes(offset..<offset + 128) == expected)
      }
    }
  }
}

@Suite struct FileStorageTests {
  private let directory: TemporaryDirectory

  init() throws {
    directory = try TemporaryDirectory()
  }

  @Test func accessDecidesWhatMustBeThere() throws {
    let path = directory.file()
    #expect(code { _ = try FileStorage.open(path: path, access: .mustExist) } == .notFound)
    #expect(code { _ = try FileStorage.open(path: path, access: .readOnly) } == .notFound)
    let created = try FileStorage.open(path: path, access: .createIfMissing)
    #expect(created.wasCreated)
    created.close()
    #expect(code { _ = try FileStorage.open(path: path, access: .mustNotExist) } == .alreadyExists)
    let opened = try FileStorage.open(path: path, access: .createIfMissing)
    #expect(!opened.wasCreated)
    opened.removeIfCreated()
    #expect(FileManager.default.fileExists(atPath: path))
  }

  @Test func errorsSayWhatIsWrongWithThePath() throws {
    let inMissing = directory.file("missing/test.db")
    let error = #expect(throws: PagerError.self) {
      try FileStorage.open(path: inMissing, access: .createIfMissing)
    }
    #expect(error?.code == .notFound)
    #expect(error?.description.contains("directory") == true)
    #expect(error?.description.contains(inMissing) == true)

    for access: FileStorage.Access in [.createIfMissing, .mustExist, .readOnly] {
      let path = directory.path
      #expect(code { _ = try FileStorage.open(path: path, access: access) } == .notADatabase)
      #expect(code { _ = try FileStorage.open(path: "/dev/null", access: access) } == .notADatabase)
      #expect(code { _ = try FileStorage.open(path: "", access: access) } == .invalidArgument)
      #expect(code { _ = try FileStorage.open(path: "a\0b", access: access) } == .invalidArgument)
    }
    let pipe = directory.file("pipe")
    #expect(mkfifo(pipe, 0o600) == 0)
    #expect(code { _ = try FileStorage.open(path: pipe, access: .readOnly) } == .notADatabase)
    #expect(code { _ = try FileStorage.open(path: pipe, access: .mustExist) } == .notADatabase)

    let dangling = directory.file("dangling")
    try FileManager.default.createSymbolicLink(
      atPath: dangling, withDestinationPath: directory.file("nowhere"))
    #expect(code { _ = try FileStorage.open(path: dangling, access: .createIfMissing) } == .busy)
  }

  @Test func secondHandleInOneProcessIsRefused() throws {
    let path = directory.file()
    let writer = try FileStorage.open(path: path, access: .createIfMissing)
    for access: FileStorage.Access in [.createIfMissing, .mustExist, .readOnly] {
      #expect(code { _ = try FileStorage.open(path: path, access: access) } == .busy)
    }
    writer.close()
    let reader = try FileStorage.open(path: path, access: .readOnly)
    let another = try FileStorage.open(path: path, access: .readOnly)
    #expect(code { _ = try FileStorage.open(path: path, access: .mustExist) } == .busy)
    another.close()
    // The first reader's lock is still there.
    #expect(code { _ = try FileStorage.open(path: path, access: .mustExist) } == .busy)
    reader.close()
    try FileStorage.open(path: path, access: .mustExist).close()
  }

  @Test func handleInAnotherProcessIsRefused() async throws {
    let path = directory.file()
    let writer = try FileStorage.open(path: path, access: .createIfMissing)
    await #expect(processExitsWith: .success) { [path = path as String] in
      do {
        _ = try FileStorage.open(path: path, access: .mustExist)
        exit(1)
      } catch {
        exit((error as? PagerError)?.code == .busy ? 0 : 2)
      }
    }
    writer.close()
    await #expect(processExitsWith: .success) { [path = path as String] in
      _ = try FileStorage.open(path: path, access: .mustExist)
    }
  }

  @Test func readOnlyRefusesChanges() throws {
    let path = directory.file()
    let writer = try FileStorage.open(path: path, access: .createIfMissing)
    try writer.write([1, 2, 3], at: 0)
    writer.close()
    let reader = try FileStorage.open(path: path, access: .readOnly)
    #expect(reader.isReadOnly)
    #expect(try reader.bytes(0..<3) == [1, 2, 3])
    #expect(code { try reader.write([1], at: 0) } == .readOnly)
    #expect(code { try reader.writeDurably([1], at: 0) } == .readOnly)
    #expect(code { try reader.allocate(byteRange: 0..<9) } == .readOnly)
    #expect(code { try reader.truncate(to: 0) } == .readOnly)
    #expect(code { _ = try reader.map(byteRange: 0..<3, writable: true) } == .readOnly)
    let base = try reader.map(byteRange: 0..<3, writable: false)
    #expect(base.load(fromByteOffset: 2, as: UInt8.self) == 3)
    reader.unmap(base, byteCount: 3)
  }

  @Test func createdFileCanBeRemovedButNotItsSuccessor() throws {
    let path = directory.file()
    let first = try FileStorage.open(path: path, access: .createIfMissing)
    first.removeIfCreated()
    #expect(!FileManager.default.fileExists(atPath: path))
    let second = try FileStorage.open(path: path, access: .createIfMissing)
    first.removeIfCreated()
    #expect(FileManager.default.fileExists(atPath: path))
    second.close()
  }

  @Test func renamedFileStaysTheSame() throws {
    let storage = try FileStorage.open(path: directory.file("old"), access: .createIfMissing)
    try FileManager.default.moveItem(
      atPath: directory.file("old"), toPath: directory.file("new"))
    try Data("another".utf8).write(to: URL(fileURLWithPath: directory.file("old")))
    try storage.writeDurably([1, 2, 3], at: 0)
    storage.close()
    let reopened = try FileStorage.open(path: directory.file("new"), access: .readOnly)
    #expect(try reopened.bytes(0..<3) == [1, 2, 3])
  }

  @Test func unreadableFileIsPermissionDenied() async throws {
    let path = directory.file()
    try FileStorage.open(path: path, access: .createIfMissing).close()
    chmod(path, 0)
    chmod(directory.path, 0o755)
    await #expect(processExitsWith: .success) { [path = path as String] in
      // The superuser may do everything, so be somebody else.
      if geteuid() == 0 { precondition(seteuid(65534) == 0) }
      // `_exit`: a leak checker cannot do its work at exit as that user.
      do {
        _ = try FileStorage.open(path: path, access: .readOnly)
        _exit(11)
      } catch {
        guard (error as? PagerError)?.code == .permissionDenied else { _exit(12) }
      }
      do {
        _ = try FileStorage.open(path: path + ".new", access: .createIfMissing)
        _exit(13)
      } catch {
        _exit((error as? PagerError)?.code == .permissionDenied ? 0 : 14)
      }
    }
  }

  @Test func fullDiskLeavesTheLengthAsItWas() async throws {
    let path = directory.file()
    await #expect(processExitsWith: .success) { [path = path as String] in
      // The limit of a file's size is the one full disk that every system offers.
      signal(SIGXFSZ, SIG_IGN)
      let storage = try FileStorage.open(path: path, access: .createIfMissing)
      try storage.write([5], at: 9_999)
      var limit = rlimit(rlim_cur: 1 << 20, rlim_max: 1 << 20)
      #if os(Linux)
        precondition(setrlimit(__rlimit_resource_t(RLIMIT_FSIZE.rawValue), &limit) == 0)
      #else
        precondition(setrlimit(RLIMIT_FSIZE, &limit) == 0)
      #endif
      try #require(code { try storage.allocate(byteRange: 0..<2 << 20) } == .diskFull)
      try #require(try storage.byteCount() == 10_000)
      try #require(code { try storage.write([1], at: 1 << 20) } == .diskFull)
      try #require(try storage.byteCount() == 10_000)
      try storage.allocate(byteRange: 0..<1 << 20)
      try #require(try storage.bytes(9_999..<10_000) == [5])
    }
  }

  @Test func shortTransfersAreCompleted() throws {
    let path = directory.file()
    let descriptor = try SystemCalls.openFile(path, writable: true, creating: true)
    defer { SystemCalls.closeFile(descriptor) }
    let bytes = (0..<1000).map { UInt8($0 % 251) }
    try bytes.withUnsafeBytes {
      try SystemCalls.writeFile(descriptor, $0, at: 3, transferByteCount: 7)
    }
    var found = [UInt8](repeating: 0, count: 1100)
    let count = try found.withUnsafeMutableBytes {
      try SystemCalls.readFile(descriptor, into: $0, at: 3, transferByteCount: 13)
    }
    #expect(count == 1000)
    #expect(Array(found.prefix(1000)) == bytes)
  }

  @Test func closingBesideCallsIsSafe() throws {
    for round in 0..<50 {
      let storage = try FileStorage.open(
        path: directory.file("race \(round)"), access: .createIfMissing)
      let threads = try (0..<3).map { _ in
        try BackgroundThread(name: "user") {
          while code({ try storage.writeDurably([1], at: 0) }) == nil {}
        }
      }
      storage.close()
      for thread in threads { thread.join() }
      #expect(code { _ = try storage.byteCount() } == .closed)
      // The last call has given the lock back.
      try FileStorage.open(path: storage.path, access: .mustExist).close()
    }
  }
}

@Suite struct MemoryStorageTests {
  @Test func capacityIsTheSizeOfTheDisk() throws {
    let storage = try MemoryStorage(capacityByteCount: 1000)
    try storage.write([1], at: 999)
    #expect(code { try storage.write([1], at: 1000) } == .diskFull)
    #expect(code { try storage.allocate(byteRange: 0..<1001) } == .diskFull)
    #expect(code { try storage.truncate(to: 1001) } == .diskFull)
    #expect(try storage.byteCount() == 1000)
    storage.capacityByteCount = 2000
    try storage.allocate(byteRange: 0..<2000)
    storage.capacityByteCount = 10
    try storage.write([2], at: 1999)
    #expect(code { try storage.write([1], at: 2000) } == .diskFull)
  }

  @Test func reopeningGivesTheSameContent() throws {
    let first = try MemoryStorage()
    try first.write([1, 2, 3], at: 0)
    first.close()
    let second = first.reopen()
    #expect(try second.bytes(0..<3) == [1, 2, 3])
    try second.write([4], at: 3)
    let reader = second.reopen(readOnly: true)
    #expect(try reader.byteCount() == 4)
    #expect(code { try reader.write([1], at: 0) } == .readOnly)
  }

  @Test func copiesAreIndependent() throws {
    let original = try MemoryStorage()
    try original.write([1, 2, 3], at: 0)
    let image = try MemoryStorage(contents: original.copyOfContents())
    try original.write([9], at: 0)
    #expect(image.copyOfContents() == [1, 2, 3])
    #expect(try MemoryStorage(contents: []).byteCount() == 0)
  }

  @Test func mappingOutlivesTheStorage() throws {
    var storage: MemoryStorage? = try MemoryStorage(capacityByteCount: 1 << 16)
    try storage?.write([8], at: 0)
    let other = storage?.reopen()
    let base = try storage?.map(byteRange: 0..<1, writable: false)
    storage = nil
    #expect(base?.load(as: UInt8.self) == 8)
    if let base { other?.unmap(base, byteCount: 1) }
  }
}

@Suite struct FaultyStorageTests {
  private let fault = PagerError(.inputOutput, "a planned fault")

  @Test func callsAreRecorded() throws {
    let storage = FaultyStorage(try MemoryStorage())
    try storage.write([1, 2], at: 4)
    try storage.synchronize()
    try storage.allocate(byteRange: 10..<30)
    try storage.truncate(to: 8)
    _ = try storage.bytes(4..<6)
    #expect(
      storage.calls == [
        .init(.write, offset: 4, byteCount: 2), .init(.synchronize),
        .init(.allocate, offset: 10, byteCount: 20), .init(.truncate, byteCount: 8),
        .init(.read, offset: 4, byteCount: 2),
      ])
    #expect(storage.callCount(of: FaultyStorage.Operation.changes) == 4)
    storage.clearCalls()
    #expect(storage.calls.isEmpty)
  }

  @Test func nthMatchingCallFailsOnce() throws {
    let storage = FaultyStorage(try MemoryStorage())
    storage.failAt(2, fault, matching: [.synchronize])
    try storage.synchronize()
    try storage.write([1], at: 0)
    #expect(code { try storage.synchronize() } == .inputOutput)
    try storage.synchronize()
    #expect(storage.callCount(of: [.synchronize]) == 3)
  }

  @Test func foreverIsUntilItIsStopped() throws {
    let storage = FaultyStorage(try MemoryStorage())
    storage.failAt(1, fault, forever: true)
    for _ in 0..<3 { #expect(code { try storage.write([1], at: 0) } == .inputOutput) }
    #expect(try storage.byteCount() == 0)
    storage.stopFailing()
    try storage.write([1], at: 0)
  }

  @Test func failingWriteMayLeaveAPrefix() throws {
    let memory = try MemoryStorage()
    let storage = FaultyStorage(memory)
    storage.failAt(1, fault, matching: [.writeDurably], writingPrefix: 2)
    #expect(code { try storage.writeDurably([1, 2, 3], at: 1) } == .inputOutput)
    #expect(memory.copyOfContents() == [0, 1, 2])
  }

  @Test func hookSeesTheStateBeforeEachCall() throws {
    let memory = try MemoryStorage()
    let storage = FaultyStorage(memory)
    let recorded = Recorder()
    storage.setHook { call in
      recorded.append(memory.copyOfContents().count)
      return call.byteCount == 3 ? PagerError(.diskFull, "no room for three") : nil
    }
    try storage.write([1], at: 0)
    try storage.write([1, 2], at: 0)
    #expect(code { try storage.write([1, 2, 3], at: 0) } == .diskFull)
    #expect(recorded.values == [0, 1, 2])
  }

  private final class Recorder: Sendable {
    private let state = Locked<[Int]>([])

    var values: [Int] { state.withLock { $0 } }

    func append(_ value: Int) { state.withLock { $0.append(value) } }
  }
}

@Suite struct PagerErrorTests {
  @Test func descriptionIsOneLineWithAllThatIsKnown() {
    let error = PagerError(
      .corrupted, "the page's checksum is wrong; restore a backup", path: "/tmp/a\nb", page: 7,
      byteOffset: 12, expected: 1, found: 2, systemError: ENOSPC)
    let words = "No space left on device"
    #expect(
      error.description
        == "corrupted: the page's checksum is wrong (file \"/tmp/a\\nb\", page 7, byte 12, "
        + "expected 1, found 2, \(words), errno \(ENOSPC)); restore a backup")
    #expect(PagerError(.busy, "locked").description == "busy: locked")
  }

  @Test func errorIsOnePointer() {
    #expect(MemoryLayout<PagerError>.size == MemoryLayout<UnsafeRawPointer>.size)
  }

  @Test func systemErrorsHaveTheirCodes() {
    let codes: [(Int32, PagerError.Code)] = [
      (ENOENT, .notFound), (EEXIST, .alreadyExists), (EACCES, .permissionDenied),
      (EPERM, .permissionDenied), (EROFS, .readOnly), (ENOSPC, .diskFull), (EDQUOT, .diskFull),
      (EFBIG, .diskFull), (EISDIR, .notADatabase), (EIO, .inputOutput), (EBADF, .inputOutput),
      (ENOMEM, .outOfAddressSpace),
    ]
    for (number, code) in codes {
      let error = PagerError(systemError: number, whileTrying: "to test", path: nil)
      #expect(error.code == code, "errno \(number)")
      #expect(error.systemError == number)
    }
  }
}
