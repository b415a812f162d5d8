internal import BTreeKV
internal import Pager

/// What an update keeps between its commits.
struct ComputationProgress {
  var computation: (any Computation)?
  /// What the last commit has recorded.
  var state: ComputationState?
}

/// A rule at work, whatever its types are.
protocol Computation {
  /// Reads what must be known to compute elements from an index on.
  ///
  /// - Parameters:
  ///   - index: up to which the target is right.
  ///   - sources: in a transaction.
  ///   - target: likewise.
  mutating func begin(
    at index: Int, _ sources: [VectorAccess], _ target: VectorAccess
  ) throws(DatabaseError)

  /// Computes elements and appends them, as many as go without an error of a source or of the rule.
  ///
  /// - Parameter range: begins where the last one has ended, at the target's end.
  /// - Returns: the error.
  /// - Throws: what changing the target throws.
  mutating func compute(
    _ range: Range<Int>, _ sources: [VectorAccess], into target: VectorAccess
  ) throws(DatabaseError) -> DatabaseError?
}

struct KernelComputation<Source, Value: VectorElement>: Computation {
  private var kernel: any RuleKernel<Source, Value>
  private let read: ([VectorAccess], Range<Int>) throws(DatabaseError) -> [Source?]

  init(
    _ kernel: any RuleKernel<Source, Value>,
    _ read: @escaping ([VectorAccess], Range<Int>) throws(DatabaseError) -> [Source?]
  ) {
    self.kernel = kernel
    self.read = read
  }

  /// Cuts a range at multiples of 65,536, so that each page of a compressed source is decompressed once
  /// and memory is bounded.
  private func forEachPiece(
    of range: Range<Int>, _ body: (Range<Int>) throws(DatabaseError) -> Void
  ) throws(DatabaseError) {
    var next = range.lowerBound
    while next < range.upperBound {
      let end = min(range.upperBound, (next / analysisBlockCount + 1) * analysisBlockCount)
      try body(next..<end)
      next = end
    }
  }

  mutating func begin(
    at index: Int, _ sources: [VectorAccess], _ target: VectorAccess
  ) throws(DatabaseError) {
    let start = kernel.start(for: index)
    var previous: Value?
    if start > 0 {
      let bytes = try target.elements(start - 1..<start, of: (start - 1) / target.blockCount)
      previous = VectorAccess.decode(bytes)
    }
    kernel.begin(at: start, after: previous)
    // What is computed on the way is there already.
    try forEachPiece(of: start..<index) { (piece) throws(DatabaseError) in
      try kernel.compute(try read(sources, piece), from: piece.lowerBound) { _ in }
    }
  }

  mutating func compute(
    _ range: Range<Int>, _ sources: [VectorAccess], into target: VectorAccess
  ) throws(DatabaseError) -> DatabaseError? {
    var failure: DatabaseError?
    try forEachPiece(of: range) { (piece) throws(DatabaseError) in
      guard failure == nil else { return }
      var stored: ContiguousArray<Value.Stored> = []
      stored.reserveCapacity(piece.count)
      var holes: [Int] = []
      do throws(DatabaseError) {
        try kernel.compute(try read(sources, piece), from: piece.lowerBound) { element in
          switch element {
          case .value(let value): stored.append(value.stored)
          case .hole(let beneath):
            holes.append(piece.lowerBound + stored.count)
            stored.append(beneath?.stored ?? zeroBits(of: Value.Stored.self))
          }
        }
      } catch {
        failure = error
      }
      _ = try withStoredBytes(stored) { (bytes) throws(DatabaseError) in
        try target.append(bytes, nil)
      }
      if !holes.isEmpty { try target.setHoles(holes, true) }
    }
    return failure
  }

}

extension RuleKernel {
  fileprivate mutating func compute(
    _ elements: [Source?], from index: Int, _ body: (ComputedElement<Value>) -> Void
  ) throws(DatabaseError) {
    for (offset, element) in elements.enumerated() {
      body(try next(element, at: index + offset))
    }
  }
}
