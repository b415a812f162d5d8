import TestSupport
import Vectors

@testable import BTreeKV

// Vectors, raw and compressed ones, in the runs in which calls fail.

extension FaultScript {
  /// A vector counts as a tree of this name, with its elements, holes and stamps as entries.
  static func tree(ofVector name: String) -> String { "vector " + name }

  /// What was there at each stamp, in the same form.
  private static func tree(ofStamp stamp: UInt64, of name: String) -> String {
    "\(hidden)stamp \(stamp) of " + name
  }

  /// Every operation of vectors.
  static let vectors = FaultScript(
    sessions: [
      Session(steps: vectorsAtFirst, end: .close), Session(steps: vectorsLater, end: .die),
      Session(steps: vectorsAtLast, end: .close),
    ],
    probes: [probe("raw"), probe("compressed")])

  private static let names = ["raw", "compressed"]

  private static func forBoth(_ steps: (String) -> [Step]) -> [Step] { names.flatMap(steps) }

  private static let vectorsAtFirst: [Step] =
    forBoth { name in
      [
        create(name),
        change(name, "write") { $0.append(300) },
        change(name, "commit") {
          $0.update([1, 30, 299])
          $0.commit(1)
        },
      ]
    } + [.hold(vectorReaders), .beginSnapshot]
    + forBoth { name in
      [
        change(name, "write") {
          $0.take([2, 40])
          $0.append(500)
          $0.update([3, 40, 310])
        },
        change(name, "commit") {
          $0.truncate(100)
          $0.commit(2)
        },
        change(name, "write") { $0.append(200) },
      ]
    } + [.checkpoint, vectorsInTransaction]
    + forBoth { name in
      [
        change(name, "rollback") { $0.rollback(to: 1) },
        change(name, "fold") {
          $0.update([7, 8])
          $0.fold()
        },
      ]
    } + [.endSnapshot]

  private static let vectorsLater: [Step] =
    forBoth { name in
      [
        // Over chunks that are put into the file ahead of the commit, or beyond a page.
        change(name, "write") { $0.append(name == "raw" ? 20_000 : 600) },
        change(name, "commit") {
          $0.take([1])
          $0.commit(3)
        },
      ]
    } + [.hold(vectorReaders), .checkpoint]
    + forBoth { name in
      [
        // More than is kept as changes.
        change(name, "write") { $0.update(Array(0..<(name == "raw" ? 1100 : 200))) },
        change(name, "rollback") { $0.rollback(to: 3) },
        change(name, "write") { $0.truncate(270) },
      ]
    } + [vectorsInTransaction]

  private static let vectorsAtLast: [Step] =
    forBoth { name in
      [
        change(name, "write") { $0.append(20) },
        change(name, "rollback") { $0.rollback(to: 1) },
        change(name, "commit") { $0.commit(9) },
      ]
    } + [.hold(vectorReaders), removeVector("raw")]

  // MARK: What is done

  /// What is done to a vector, and to its model.
  struct VectorEdit: Sendable {
    enum Part: Sendable {
      case append(Int)
      case update([Int])
      case take([Int])
      case truncate(Int)
      case fold
      case commit(UInt64)
      case rollback(UInt64)
    }
    var parts: [Part] = []

    mutating func append(_ count: Int) { parts.append(.append(count)) }
    mutating func update(_ indices: [Int]) { parts.append(.update(indices)) }
    mutating func take(_ indices: [Int]) { parts.append(.take(indices)) }
    mutating func truncate(_ count: Int) { parts.append(.truncate(count)) }
    mutating func fold() { parts.append(.fold) }
    mutating func commit(_ stamp: UInt64) { parts.append(.commit(stamp)) }
    mutating func rollback(to stamp: UInt64) { parts.append(.rollback(stamp)) }

    /// Elements that differ from place to place and from number to number.
    static func element(_ index: Int, _ number: Int) -> UInt64 {
      UInt64(truncatingIfNeeded: (index + 1) &* 2_654_435_761 &+ number &* 40_503)
    }

    /// Buffers and writes all parts, as one commit.
    func run(_ vector: BufferedVector<UInt64>) throws {
      var isWritten = false
      for part in parts {
        let count = try vector.count
        switch part {
        case .append(let added):
          vector.append(contentsOf: (count..<count + added).map { Self.element($0, added) })
        case .update(let indices):
          for index in indices where index < count {
            try vector.update(at: index, Self.element(index, indices.count + 7))
          }
        case .take(let indices):
          for index in indices where index < count { try vector.take(at: index) }
        case .truncate(let kept): try vector.truncate(to: min(count, kept))
        case .fold:
          try vector.fold()
          isWritten = true
        case .commit(let stamp):
          try vector.commit(stamp: stamp)
          isWritten = true
        case .rollback(let stamp):
          if try vector.stamps.contains(stamp) { try vector.rollback(to: stamp) }
          isWritten = true
        }
      }
      if !isWritten { try vector.write() }
    }

    func apply(_ name: String, _ content: inout Content) {
      guard let tree = content[FaultScript.tree(ofVector: name)] else { return }
      var model = VectorModel(tree)
      for part in parts {
        switch part {
        case .append(let added):
          let count = model.elements.count
          model.elements += (count..<count + added).map { Self.element($0, added) }
        case .update(let indices):
          for index in indices where index < model.elements.count {
            model.elements[index] = Self.element(index, indices.count + 7)
            model.holes.remove(index)
          }
        case .take(let indices):
          model.holes.formUnion(indices.filter { $0 < model.elements.count })
        case .truncate(let kept):
          model.elements = Array(model.elements.prefix(kept))
          model.holes = model.holes.filter { $0 < kept }
        case .fold: break
        case .commit(let stamp):
          model.stamps.append(stamp)
          content[FaultScript.tree(ofStamp: stamp, of: name)] = model.tree
        case .rollback(let stamp):
          guard model.stamps.contains(stamp),
            let old = content[FaultScript.tree(ofStamp: stamp, of: name)]
          else { continue }
          model = VectorModel(old)
        }
      }
      content[FaultScript.tree(ofVector: name)] = model.tree
    }
  }

  /// Elements with those that are holes, holes, and stamps.
  private struct VectorModel {
    var elements: [UInt64] = []
    var holes: Set<Int> = []
    var stamps: [UInt64] = []

    init() {}

    init(_ tree: [[UInt8]: [UInt8]]) {
      func numbers<Number: BitwiseCopyable>(_ key: UInt8) -> [Number] {
        let bytes = tree[[key]] ?? []
        return Array(unsafeUninitializedCapacity: bytes.count / MemoryLayout<Number>.size) {
          UnsafeMutableRawBufferPointer($0).copyBytes(from: bytes)
          $1 = $0.count
        }
      }
      elements = numbers(0)
      holes = Set(numbers(1))
      stamps = numbers(2)
    }

    var tree: [[UInt8]: [UInt8]] {
      [
        [0]: elements.withUnsafeBytes { Array($0) },
        [1]: holes.sorted().withUnsafeBytes { Array($0) },
        [2]: stamps.withUnsafeBytes { Array($0) },
      ]
    }
  }

  private static let options = CompressionOptions(level: 1, pageElementCount: 256)

  private static func open(_ name: String, _ database: Database) throws -> BufferedVector<UInt64> {
    guard name == "raw" else {
      return try CompressedVector<UInt64>.open(name, in: database, options: options)
    }
    return try RawVector<UInt64>.open(name, in: database)
  }

  private static func create(_ name: String) -> Step {
    .change(
      Change(name: "a new vector") { database, _ in
        _ = try open(name, database)
      } apply: { content in
        let tree = tree(ofVector: name)
        content[tree] = content[tree] ?? VectorModel().tree
      })
  }

  /// A change of a vector, if it is there.
  private static func change(
    _ name: String, _ call: String, _ parts: (inout VectorEdit) -> Void
  ) -> Step {
    var edit = VectorEdit()
    parts(&edit)
    return .change(
      Change(name: "\(call) of the \(name) vector") { [edit] database, content in
        guard content[tree(ofVector: name)] != nil else { return }
        try edit.run(try open(name, database))
      } apply: { [edit] content in
        edit.apply(name, &content)
      })
  }

  private static func removeVector(_ name: String) -> Step {
    .change(
      Change(name: "removeVector") { database, _ in
        try database.removeVector(name)
      } apply: { content in
        content[tree(ofVector: name)] = nil
      })
  }

  /// Changes keys and both vectors, and undoes a part of it.
  private static var vectorsInTransaction: Step {
    struct Refusal: Error {}
    let new: [UInt64] = [5, 6, 7]
    return .change(
      Change(name: "write with vectors") { database, content in
        guard names.allSatisfy({ content[tree(ofVector: $0)] != nil }) else { return }
        try database.write { transaction in
          try transaction.insert("beside vectors", "value")
          let raw = try transaction.rawVector("raw", of: UInt64.self)
          try raw.append(contentsOf: new)
          do {
            try transaction.savepoint {
              try transaction.rawVector("raw", of: UInt64.self).truncate(to: 1)
              try transaction.removeVector("compressed")
              try transaction.rawVector("undone", of: UInt64.self).append(8)
              throw Refusal()
            }
          } catch is Refusal {}
          let packed = try transaction.compressedVector(
            "compressed", of: UInt64.self, options: options)
          try packed.append(contentsOf: new)
          try packed.update(at: 0, 77)
        }
      } apply: { content in
        guard names.allSatisfy({ content[tree(ofVector: $0)] != nil }) else { return }
        content["", default: [:]][Array("beside vectors".utf8)] = Array("value".utf8)
        for name in names {
          var model = VectorModel(content[tree(ofVector: name)] ?? [:])
          model.elements += new
          if name == "compressed" {
            model.elements[0] = 77
            model.holes.remove(0)
          }
          content[tree(ofVector: name)] = model.tree
        }
      })
  }

  // MARK: Reading

  private static func probe(_ name: String) -> Probe {
    { database, content in
      guard let tree = content[tree(ofVector: name)] else { return true }
      let model = VectorModel(tree)
      let vector = try open(name, database)
      return try [40, model.elements.count - 1].allSatisfy { index in
        guard model.elements.indices.contains(index) else { return true }
        let expected = model.holes.contains(index) ? nil : model.elements[index]
        return try vector.element(at: index) == expected
      }
    }
  }

  /// Readers show what they did, whatever becomes of their vector.
  private static let vectorReaders = Holding(name: "readers of vectors") { database, content in
    try names.compactMap { name -> (() throws -> Bool)? in
      guard let tree = content[tree(ofVector: name)] else { return nil }
      let expected = VectorModel(tree).elements
      guard name == "raw" else {
        let vector = try CompressedVector<UInt64>.open(name, in: database, options: options)
        let reader = try vector.reader()
        return { try reader.elements() == expected }
      }
      let reader = try RawVector<UInt64>.open(name, in: database).reader()
      return { reader.elementsEqual(expected) }
    }
  }

  private static func tree(
    _ elements: [UInt64], _ vector: some ReadableVector<UInt64>
  ) throws -> [[UInt8]: [UInt8]] {
    var model = VectorModel()
    model.elements = elements
    model.holes = Set(try vector.holes)
    model.stamps = try vector.stamps
    return model.tree
  }

  static func vectors(of database: Database) throws -> Content {
    for description in try database.vectors() { try open(description.name, database).verify() }
    return try vectors(of: try database.snapshot())
  }

  static func vectors(of snapshot: Snapshot) throws -> Content {
    var content: Content = [:]
    for name in try snapshot.vectors().map(\.name) {
      if name == "compressed" {
        content[tree(ofVector: name)] = try snapshot.compressedVector(name, of: UInt64.self).map {
          try tree(try $0.reader().elements(), $0)
        }
      } else {
        content[tree(ofVector: name)] = try snapshot.rawVector(name, of: UInt64.self).map {
          try tree(Array(try $0.reader()), $0)
        }
      }
    }
    return content
  }
}
