import Foundation
import TestSupport
import Testing

@testable import Pager

@Suite struct FileStorageTests {
  private let directory: TemporaryFolder

  init() throws {
    directory = try TemporaryFolder()
  }

  @Test func accessDecidesWhatMustBeThere() throws {
    let path = directory.file()
    #expect(errorCode { _ = try FileStorage.open(path: path, access: .mustExist) } == .notFound)
    #expect(errorCode { _ = try FileStorage.open(path: path, access: .readOnly) } == .notFound)
    let created = try FileStorage.open(path: path, access: .createIfMissing)
    #expect(created.wasCreated)
    created.close()
    #expect(
      errorCode { _ = try FileStorage.open(path: path, access: .mustNotExist) } == .alreadyExists)
    let opened = try FileStorage.open(path: path, access: .createIfMissing)
    #expect(!opened.wasCreated)
    opened.removeIfCreated()
    #expect(FileManager.default.fileExists(atPath: path))
  }

  #if os(Linux)
    /// What was mapped and noted, and is unmapped: something else may have its addresses at the next sync.
    @Test func aSyncLeavesOthersMemoryAlone() throws {
      let storage = try FileStorage.open(path: directory.file(), access: .createIfMissing)
      let page = SystemCalls.pageByteCount
      try storage.allocate(byteRange: 0..<4 * page)
      let base = try storage.map(byteRange: 0..<4 * page, writable: true)
      base.initializeMemory(as: UInt8.self, repeating: 1, count: 4 * page)
      storage.noteWritten(base, byteCount: 4 * page)
      storage.unmap(base, byteCount: 4 * page)
      let flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED
      let other = mmap(base, 4 * page, PROT_READ | PROT_WRITE, flags, -1, 0)
      #expect(other == base)
      base.initializeMemory(as: UInt8.self, repeating: 2, count: 4 * page)
      try storage.synchronize()
      let bytes = UnsafeRawBufferPointer(start: base, count: 4 * page)
      #expect(Array(bytes) == [UInt8](repeating: 2, count: 4 * page))
      munmap(base, 4 * page)
      #expect(try storage.bytes(0..<4 * page) == [UInt8](repeating: 1, count: 4 * page))
      storage.close()
    }
  #endif

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
      #expect(errorCode { _ = try FileStorage.open(path: path, access: access) } == .notADatabase)
      #expect(
        errorCode { _ = try FileStorage.open(path: "/dev/null", access: access) } == .notADatabase)
      #expect(errorCode { _ = try FileStorage.open(path: "", access: access) } == .invalidArgument)
      #expect(
        errorCode { _ = try FileStorage.open(path: "a\0b", access: access) } == .invalidArgument)
    }
    let pipe = directory.file("pipe")
    #expect(mkfifo(pipe, 0o600) == 0)
    #expect(errorCode { _ = try FileStorage.open(path: pipe, access: .readOnly) } == .notADatabase)
    #expect(errorCode { _ = try FileStorage.open(path: pipe, access: .mustExist) } == .notADatabase)

    let dangling = directory.file("dangling")
    try FileManager.default.createSymbolicLink(
      atPath: dangling, withDestinationPath: directory.file("nowhere"))
    #expect(
      errorCode { _ = try FileStorage.open(path: dangling, access: .createIfMissing) } == .busy)
  }

  @Test func secondHandleInOneProcessIsRefused() throws {
    let path = directory.file()
    let writer = try FileStorage.open(path: path, access: .createIfMissing)
    for access: FileStorage.Access in [.createIfMissing, .mustExist, .readOnly] {
      #expect(errorCode { _ = try FileStorage.open(path: path, access: access) } == .busy)
    }
    writer.close()
    let reader = try FileStorage.open(path: path, access: .readOnly)
    let another = try FileStorage.open(path: path, access: .readOnly)
    #expect(errorCode { _ = try FileStorage.open(path: path, access: .mustExist) } == .busy)
    another.close()
    // The first reader's lock is still there.
    #expect(errorCode { _ = try FileStorage.open(path: path, access: .mustExist) } == .busy)
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
    #expect(errorCode { try reader.write([1], at: 0) } == .readOnly)
    #expect(errorCode { try reader.writeDurably([1], at: 0) } == .readOnly)
    #expect(errorCode { try reader.allocate(byteRange: 0..<9) } == .readOnly)
    #expect(errorCode { try reader.truncate(to: 0) } == .readOnly)
    #expect(errorCode { _ = try reader.map(byteRange: 0..<3, writable: true) } == .readOnly)
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
      try #require(errorCode { try storage.allocate(byteRange: 0..<2 << 20) } == .diskFull)
      try #require(try storage.byteCount() == 10_000)
      try #require(errorCode { try storage.write([1], at: 1 << 20) } == .diskFull)
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
          while errorCode({ try storage.writeDurably([1], at: 0) }) == nil {}
        }
      }
      storage.close()
      for thread in threads { thread.join() }
      #expect(errorCode { _ = try storage.byteCount() } == .closed)
      // The last call has given the lock back.
      try FileStorage.open(path: storage.path, access: .mustExist).close()
    }
  }

  #if os(Linux)
    /// The descriptors of this process that are open `O_DSYNC` on a file.
    private func durableDescriptors(of path: String) throws -> [Int32] {
      let resolved = URL(filePath: path).resolvingSymlinksInPath().path
      return try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").compactMap {
        name in
        // Other tests close theirs meanwhile.
        guard
          let target = try? FileManager.default.destinationOfSymbolicLink(
            atPath: "/proc/self/fd/" + name), target == resolved, let number = Int32(name)
        else { return nil }
        return fcntl(number, F_GETFL) & O_DSYNC == 0 ? nil : number
      }
    }

    /// rule B6: durable writes, and no others, go through one descriptor opened `O_DSYNC`.
    ///
    /// To see it, that descriptor is turned to another file.
    @Test func durableWritesHaveTheirOwnDescriptor() throws {
      try #require(SystemCalls.hasDurableDescriptors)
      let path = directory.file()
      let storage = try FileStorage.open(path: path, access: .createIfMissing)
      try storage.write([1, 2, 3], at: 0)
      #expect(try durableDescriptors(of: path) == [])
      try storage.writeDurably([4], at: 0)
      try storage.writeDurably([5], at: 1)
      let durable = try durableDescriptors(of: path)
      try #require(durable.count == 1)
      #expect(try storage.bytes(0..<3) == [4, 5, 3])
      let other = try FileStorage.open(path: directory.file("other"), access: .createIfMissing)
      let descriptor = try SystemCalls.openFile(directory.file("other"), writable: true)
      #expect(dup2(descriptor, durable[0]) == durable[0])
      SystemCalls.closeFile(descriptor)
      try storage.writeDurably([6], at: 0)
      try storage.write([7], at: 2)
      #expect(try storage.bytes(0..<3) == [4, 5, 7])
      #expect(try other.byteCount() == 1)
      #expect(try other.bytes(0..<1) == [6])
      storage.close()
      other.close()
    }
  #endif
}
