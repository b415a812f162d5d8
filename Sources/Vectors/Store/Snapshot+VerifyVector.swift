public import BTreeKV
internal import Pager

extension Snapshot {
  /// Compares all elements of a vector, of whatever type, with their checksums, and looks whether what
  /// is kept beside them makes sense.
  ///
  /// - Parameter name: what it is called.
  /// - Returns: whether there is such a vector.
  /// - Throws: `.corrupted` when something is wrong; else as `lookup`.
  /// - Complexity: O(n).
  public func verifyVector(_ name: String) throws(DatabaseError) -> Bool {
    guard let record = try VectorCatalogue(try access(to: .vectors)).find(name) else {
      return false
    }
    try vectorAccess(record).verify()
    return true
  }
}
